//! Moves bytes between two connections in both directions.
//!
//! A connection that waits holds no buffer: reading goes through one buffer per thread, and only what the other side
//! does not take at once is kept. It does not know what the bytes are.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Read at once.
const CHUNK: usize = 128 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// Bytes moved so far; can be read while copying goes on.
#[derive(Debug, Default)]
pub struct Progress {
    /// From the first to the second.
    pub forth: Cell<u64>,
    /// From the second to the first.
    pub back: Cell<u64>,
}

/// Which side broke off, with the error.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the downstream connection broke: {0}")]
    First(io::Error),
    #[error("the upstream connection broke: {0}")]
    Second(io::Error),
}

/// Copies until both sides have ended. One side's end is passed on while the other goes on.
pub async fn both_ways<A, B>(first: &mut A, second: &mut B, progress: &Progress) -> Result<(), Broken>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut forth, mut back) = (Direction::default(), Direction::default());
    poll_fn(|cx| {
        let one = forth.poll(cx, first, second, &progress.forth);
        if let Poll::Ready(Err(side)) = one {
            return Poll::Ready(Err(side.named(Broken::First, Broken::Second)));
        }
        let other = back.poll(cx, second, first, &progress.back);
        if let Poll::Ready(Err(side)) = other {
            return Poll::Ready(Err(side.named(Broken::Second, Broken::First)));
        }
        if one.is_ready() && other.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

enum Side {
    Reader(io::Error),
    Writer(io::Error),
}

impl Side {
    fn named(self, reader: fn(io::Error) -> Broken, writer: fn(io::Error) -> Broken) -> Broken {
        match self {
            Self::Reader(error) => reader(error),
            Self::Writer(error) => writer(error),
        }
    }
}

#[derive(Default)]
struct Direction {
    /// Read but not yet taken by the other side.
    kept: Vec<u8>,
    written: usize,
    unflushed: bool,
    ended: bool,
    closed: bool,
}

impl Direction {
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        moved: &Cell<u64>,
    ) -> Poll<Result<(), Side>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if self.closed {
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.poll_kept(cx, to)).map_err(Side::Writer)?;
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(Side::Writer)?;
                self.closed = true;
                return Poll::Ready(Ok(()));
            }
            match self.poll_move(cx, from, to) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(count)) => moved.set(moved.get() + count as u64),
                Poll::Ready(Err(side)) => return Poll::Ready(Err(side)),
                Poll::Pending => {
                    if self.unflushed && Pin::new(&mut *to).poll_flush(cx).map_err(Side::Writer)?.is_ready() {
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Writes what was kept.
    fn poll_kept<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<io::Result<()>> {
        while self.written < self.kept.len() {
            let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.kept[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.unflushed = true;
        }
        if !self.kept.is_empty() {
            self.kept = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once and writes what the other side takes; the rest is kept.
    fn poll_move<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<Result<usize, Side>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(from).poll_read(cx, &mut buffer)).map_err(Side::Reader)?;
            let bytes = buffer.filled();
            let mut taken = 0;
            while taken < bytes.len() {
                match Pin::new(&mut *to).poll_write(cx, &bytes[taken..]) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(Side::Writer(io::ErrorKind::WriteZero.into()))),
                    Poll::Ready(Ok(count)) => taken += count,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Side::Writer(error))),
                    Poll::Pending => break,
                }
            }
            self.unflushed |= taken > 0;
            self.kept.extend_from_slice(&bytes[taken..]);
            Poll::Ready(Ok(bytes.len()))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn more_than_the_other_side_takes_at_once_and_half_close() {
        let (mut client, mut first) = duplex(1000);
        let (mut second, mut server) = duplex(100);
        let sent: Vec<u8> = (0..500_000_u32).map(|n| n as u8).collect();
        let progress = Progress::default();
        let copying = both_ways(&mut first, &mut second, &progress);
        let asking = async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let answering = async {
            let mut got = Vec::new();
            server.read_to_end(&mut got).await.unwrap();
            server.write_all(b"bye").await.unwrap();
            server.shutdown().await.unwrap();
            got
        };
        let (copied, answer, got) = tokio::join!(copying, asking, answering);
        copied.unwrap();
        assert_eq!((answer.as_slice(), got), (b"bye".as_slice(), sent));
        assert_eq!((progress.forth.get(), progress.back.get()), (500_000, 3));
    }
}
