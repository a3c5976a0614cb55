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
    io::{AsyncRead as _, Interest, ReadBuf},
    net::TcpStream,
};

/// Reads once.
pub fn poll_read(
    io: &mut TcpStream,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    if buf.initialized().len() < buf.capacity() {
        // The other road's: setting its bytes first would cost more than is saved.
        return Pin::new(io).poll_read(cx, buf);
    }
    let io = &*io;
    let room = buf.initialize_unfilled();
    let n_room = room.len();
    let read = ready!(poll(io, cx, Interest::READABLE, n_room, || {
        let (_, n) = recv(io, &mut *room, RecvFlags::empty())?;
        Ok(n)
    }))?;
    buf.advance(read);
    Poll::Ready(Ok(()))
}

/// Writes what the kernel takes at once.
pub fn poll_write(io: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    poll(io, cx, Interest::WRITABLE, bytes.len(), || Ok(send(io, bytes, SendFlags::NOSIGNAL)?))
}

/// Moves up to `n_max` bytes by `call` when there is something to be moved.
fn poll(
    io: &TcpStream,
    cx: &mut Context<'_>,
    interest: Interest,
    n_max: usize,
    mut call: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(if interest.is_readable() {
            io.poll_read_ready(cx)
        } else {
            io.poll_write_ready(cx)
        })?;
        let mut n_moved = None;
        let tried = io.try_io(interest, || {
            let n = call()?;
            n_moved = Some(n);
            // Less than could be: there is no more now, and the kernel tells when there is again.
            if 0 < n && n < n_max { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match (n_moved, tried) {
            (Some(n), _) => return Poll::Ready(Ok(n)),
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            (None, Err(error)) => return Poll::Ready(Err(error)),
            (None, Ok(())) => return Poll::Ready(Ok(0)),
        }
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
        poll_fn(|cx| {
            let mut buf = ReadBuf::new(into);
            ready!(poll_read(io, cx, &mut buf)).unwrap();
            Poll::Ready(buf.filled().len())
        })
        .await
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
        let mut buf = ReadBuf::new(&mut window);
        let outcome = poll_fn(|cx| poll_read(&mut near, cx, &mut buf)).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let outcome = poll_fn(|cx| poll_write(&near, cx, b"x")).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
