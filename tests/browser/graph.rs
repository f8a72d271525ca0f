//! The live graph in Chromium.

use std::time::Duration;

use orrery_tests::browser::Browser;
use orrery_tests::demo::Demo;
use orrery_tests::eventually::eventually;

#[tokio::test]
async fn shows_nodes_labelled_edges_and_a_change_after_apply() {
    let demo = Demo::start(38, &["--rps", "30"]).await;
    let browser = Browser::open(1440, 900, false).await;
    browser
        .go(&format!("{}/graph?duration=60s&display=services,motion,locks,live,idle", demo.state().ui))
        .await
        .expect("the page");
    eventually("nodes of every service", Duration::from_secs(30), || async {
        let text = browser.evaluate("document.body.innerText + ' ' + Array.from(document.querySelectorAll('svg text')).map(t => t.textContent).join(' ')").await?;
        let text = text.as_str().unwrap_or_default().to_owned();
        for name in ["productpage", "details", "reviews", "ratings"] {
            anyhow::ensure!(text.contains(name), "no {name} in the page: {text}");
        }
        anyhow::Ok(())
    })
    .await;
    eventually("edges with labels", Duration::from_secs(10), || async {
        let edges = count(&browser, "path.edge").await?;
        let labels = browser
            .evaluate("Array.from(document.querySelectorAll('g.label:not([hidden])')).filter(l => /\\d/.test(l.textContent)).length")
            .await?;
        anyhow::ensure!(edges >= 8 && labels.as_u64().unwrap_or_default() >= 5, "{edges} edges, {labels} labels");
        anyhow::Ok(())
    })
    .await;

    // With everything on v1, nothing flows to reviews v3 any more: its edges turn idle.
    demo.apply_sample("destination-rule-all");
    demo.apply_sample("virtual-service-all-v1");
    eventually("the graph shows the change", Duration::from_secs(10), || async {
        let idle = count(&browser, "path.edge[data-tone='idle']").await?;
        let live = count(&browser, "path.edge:not([data-tone='idle'])").await?;
        anyhow::ensure!(idle >= 2 && live >= 4, "{idle} idle and {live} live edges");
        anyhow::Ok(())
    })
    .await;
    assert_eq!(browser.console().await.expect("the console"), Vec::<String>::new(), "errors in the browser's console");
}

async fn count(browser: &Browser, selector: &str) -> anyhow::Result<u64> {
    let n = browser.evaluate(&format!("document.querySelectorAll(\"{selector}\").length")).await?;
    Ok(n.as_u64().unwrap_or_default())
}
