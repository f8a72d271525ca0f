//! Server-sent events, read one by one.

use anyhow::{Context, Result};
use bytes::{Buf, BytesMut};
use http::{Request, header::HOST};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::http::split;

/// An open event stream.
pub struct Events {
    body: Incoming,
    pending: BytesMut,
}

impl Events {
    pub async fn open(url: &str) -> Result<Self> {
        let (address, path) = split(url)?;
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::get(path).header(HOST, address.to_string()).body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        anyhow::ensure!(response.status().is_success(), "GET {url}: {}", response.status());
        Ok(Self { body: response.into_body(), pending: BytesMut::new() })
    }

    /// The data of the next event of this name.
    pub async fn next(&mut self, name: &str) -> Result<Value> {
        loop {
            while let Some(block) = self.take_block() {
                let mut event = "message";
                let mut data = String::new();
                for line in block.lines() {
                    if let Some(value) = line.strip_prefix("event:") {
                        event = value.trim_start();
                    } else if let Some(value) = line.strip_prefix("data:") {
                        data.push_str(value.trim_start());
                    }
                }
                if event == name {
                    return serde_json::from_str(&data).with_context(|| format!("event {name}: {data}"));
                }
            }
            let frame = self.body.frame().await.context("the event stream ended")??;
            if let Some(data) = frame.data_ref() {
                self.pending.extend_from_slice(data);
            }
        }
    }

    fn take_block(&mut self) -> Option<String> {
        let end = self.pending.windows(2).position(|two| two == b"\n\n")?;
        let block = String::from_utf8_lossy(&self.pending[..end]).into_owned();
        self.pending.advance(end + 2);
        Some(block)
    }
}
