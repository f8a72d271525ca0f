//! Every page loads without an error, at both sizes and in both schemes, and fits its window.

use std::time::Duration;

use orrery_tests::browser::Browser;
use orrery_tests::demo::Demo;
use orrery_tests::eventually::eventually;

const PAGES: [(&str, &str); 6] = [
    ("/", "reviews"),
    ("/graph", "productpage"),
    ("/services", "ratings"),
    ("/namespaces/default/services/reviews", "reviews"),
    ("/traces", "productpage"),
    ("/about", "Orrery"),
];

#[tokio::test]
async fn every_page_shows_the_mesh_and_fits_its_window() {
    let demo = Demo::start(39, &["--rps", "20"]).await;
    for (width, height, dark) in [(1440, 900, false), (900, 700, true)] {
        let browser = Browser::open(width, height, dark).await;
        for (page, word) in PAGES {
            browser.go(&format!("{}{page}", demo.state().ui)).await.expect("the page");
            eventually(&format!("{page} shows {word}"), Duration::from_secs(20), || async {
                let text = browser.evaluate("document.documentElement.textContent").await?;
                let text = text.as_str().unwrap_or_default().to_owned();
                if text.contains(word) { anyhow::Ok(()) } else { anyhow::bail!("{text}") }
            })
            .await;
            let overflow = browser
                .evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                .await
                .expect("the width");
            assert_eq!(overflow.as_i64(), Some(0), "{page} is wider than {width} pixels");
            assert_eq!(
                browser.console().await.expect("the console"),
                Vec::<String>::new(),
                "{page}: errors in the console"
            );
        }
    }
}
