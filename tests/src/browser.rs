//! Chromium, driven through chromedriver's WebDriver interface.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Ask, Connection};
use crate::tools;

/// A browser that takes longer to end is left to its driver.
const QUIT_WITHIN: Duration = Duration::from_secs(10);

/// One headless browser window.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Opens a window of this size; `dark` asks pages for their dark scheme.
    pub async fn open(width: u32, height: u32, dark: bool) -> Self {
        tools::program("chromium", "chromium");
        let mut driver = Command::new(tools::program("chromedriver", "chromium-driver"))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let port = driver_port(&mut driver);
        let profile = TempDir::new().expect("a temporary directory");
        let mut arguments = vec![
            "--headless".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".into());
        }
        let mut browser = Self {
            driver,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            session: String::new(),
            _profile: profile,
        };
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let answer = browser.send(Method::POST, "/session", &capabilities).await.expect("a browser session");
        browser.session = answer["sessionId"].as_str().expect("a session id").to_owned();
        browser
    }

    pub async fn go(&self, url: &str) -> Result<()> {
        self.command(Method::POST, "url", &json!({"url": url})).await.map(drop)
    }

    /// The value of a JavaScript expression in the page.
    pub async fn evaluate(&self, expression: &str) -> Result<Value> {
        let script = format!("return ({expression});");
        self.command(Method::POST, "execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Errors and warnings of the page's console since the last call.
    pub async fn console(&self) -> Result<Vec<String>> {
        let entries = self.command(Method::POST, "se/log", &json!({"type": "browser"})).await?;
        let entries = entries.as_array().cloned().unwrap_or_default();
        Ok(entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    async fn command(&self, method: Method, name: &str, body: &Value) -> Result<Value> {
        self.send(method, &format!("/session/{}/{name}", self.session), body)
            .await
            .with_context(|| format!("browser: {name}"))
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let body = serde_json::to_vec(body)?;
        let headers = [("content-type", "application/json"), ("host", "localhost")];
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.ask(&Ask { method: Some(method), path, headers: &headers, body: &body }).await?;
        let mut value: Value = serde_json::from_slice(&answer.body)?;
        anyhow::ensure!(answer.status.is_success(), "{path}: {value}");
        Ok(value["value"].take())
    }
}

impl Browser {
    /// Ends the browser and waits until it has ended.
    fn quit(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        let session = &self.session;
        write!(stream, "DELETE /session/{session} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        // The driver keeps its connection open; the beginning of its answer says that the browser has ended.
        stream.set_read_timeout(Some(QUIT_WITHIN))?;
        stream.read(&mut [0; 256]).map(drop)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A browser whose session is not deleted may outlive its driver.
        if let Err(error) = self.quit() {
            eprintln!("the browser did not take leave: {error}");
        }
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(self.driver.id()).unwrap_or_default()),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.driver.wait();
    }
}

fn driver_port(driver: &mut Child) -> u16 {
    let output = driver.stdout.take().expect("chromedriver's output is piped");
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let words: Vec<&str> = line.trim_end_matches('.').split(' ').collect();
        if line.contains("started successfully on port")
            && let Some(port) = words.last().and_then(|word| word.parse().ok())
        {
            return port;
        }
    }
    panic!("chromedriver ended without saying its port");
}
