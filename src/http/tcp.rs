//! Bytes from and to a TCP connection, for the short road.
//!
//! As `TcpStream` reads and writes, but the call goes to the kernel by itself: the C library's would
//! each time prepare for a thread that is cancelled in the middle of it, which no thread here is, and
//! take two locked instructions to do so.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::{
    io::{AsyncRead, Interest, ReadBuf},
    net::TcpStream,
};

/// Where a window is filled from: as `AsyncRead`, for bytes that are set already.
pub trait Source {
    /// Reads once into `room`; 0 is the end of the stream.
    fn poll_into(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>>;
}

impl Source for TcpStream {
    fn poll_into(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            // Here the task's share of the thread is counted: whoever passes on reads.
            ready!(self.poll_read_ready(cx))?;
            let n_room = room.len();
            let tried = attempt(self, Interest::READABLE, n_room, || {
                let (_, n) = recv(&*self, &mut *room, RecvFlags::empty())?;
                Ok(n)
            });
            if let Poll::Ready(outcome) = tried {
                return Poll::Ready(outcome);
            }
        }
    }
}

impl Source for &[u8] {
    fn poll_into(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        poll_other(self, cx, room)
    }
}

/// As `poll_into`, for whatever has no way of its own.
pub fn poll_other(
    io: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    room: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut free = ReadBuf::new(room);
    ready!(Pin::new(io).poll_read(cx, &mut free))?;
    Poll::Ready(Ok(free.filled().len()))
}

/// Writes what the kernel takes at once.
pub fn poll_write(io: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        // Tried first: there is nearly always room.
        let send = || Ok(send(io, bytes, SendFlags::NOSIGNAL)?);
        if let Poll::Ready(outcome) = attempt(io, Interest::WRITABLE, bytes.len(), send) {
            return Poll::Ready(outcome);
        }
        ready!(io.poll_write_ready(cx))?;
    }
}

/// Moves up to `n_max` bytes by `call`; pending where that cannot be now.
fn attempt(
    io: &TcpStream,
    interest: Interest,
    n_max: usize,
    call: impl FnOnce() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    let mut n_moved = None;
    let tried = io.try_io(interest, || {
        let n = call()?;
        n_moved = Some(n);
        // Less than could be: there is no more now, and the kernel tells when there is again.
        if 0 < n && n < n_max { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match (n_moved, tried) {
        (Some(n), _) => Poll::Ready(Ok(n)),
        (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        (None, Err(error)) => Poll::Ready(Err(error)),
        (None, Ok(())) => Poll::Ready(Ok(0)),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (near, far) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    async fn read(io: &mut TcpStream, into: &mut [u8]) -> usize {
        poll_fn(|cx| io.poll_into(cx, into)).await.unwrap()
    }

    #[tokio::test]
    async fn what_comes_later_is_told_and_so_is_the_end() {
        let (mut near, mut far) = pair().await;
        let mut window = [0; 8];
        for text in ["abc", "defghijk", "lmnopqrst"] {
            let mut got = String::new();
            let (sent, ()) = tokio::join!(far.write_all(text.as_bytes()), async {
                while got.len() < text.len() {
                    let n = read(&mut near, &mut window).await;
                    got.push_str(std::str::from_utf8(&window[..n]).unwrap());
                }
            });
            sent.unwrap();
            assert_eq!(got, text);
        }
        drop(far);
        assert_eq!(read(&mut near, &mut window).await, 0);
        assert_eq!(read(&mut near, &mut window).await, 0, "once more");
    }

    #[tokio::test]
    async fn a_peer_that_reads_late_gets_all() {
        let (near, mut far) = pair().await;
        let sent: Vec<u8> = (0..8 << 20).map(|n: u32| (n >> 8) as u8 ^ n as u8).collect();
        let write = async {
            let (mut at, mut n_pieces) = (0, 0);
            while at < sent.len() {
                at += poll_fn(|cx| poll_write(&near, cx, &sent[at..])).await.unwrap();
                n_pieces += 1;
            }
            drop(near);
            n_pieces
        };
        let mut got = Vec::new();
        let (n_pieces, read) = tokio::join!(write, far.read_to_end(&mut got));
        read.unwrap();
        assert!(n_pieces > 1 && got == sent, "{n_pieces} pieces, {} bytes", got.len());
    }

    #[tokio::test]
    async fn a_reset_is_an_error() {
        let (mut near, far) = pair().await;
        socket2::SockRef::from(&far).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(far);
        let mut window = [0; 8];
        let outcome = poll_fn(|cx| near.poll_into(cx, &mut window)).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let outcome = poll_fn(|cx| poll_write(&near, cx, b"x")).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
