//! Frames of an exec session, the same on both ends: 1 byte of channel, 4 bytes of length
//! (big-endian), then the payload. The channels are listed in the contract.

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The protocol named in `Upgrade`.
pub const PROTOCOL: &str = "tepui-exec";
/// Largest payload of a frame.
pub const FRAME_BYTES_MAX: usize = 65_536;

/// Channels of the frame protocol.
pub mod channel {
    pub const STDIN: u8 = 0;
    pub const STDOUT: u8 = 1;
    pub const STDERR: u8 = 2;
    pub const RESIZE: u8 = 3;
    pub const END: u8 = 4;
    pub const PING: u8 = 5;
    pub const PONG: u8 = 6;
    /// Of WebSockets alone: the first message of either side, and how much was received.
    pub const OPEN: u8 = 7;
    pub const RECEIVED: u8 = 8;
}

/// The next frame; `None` at the end, an error for one that is too large.
pub async fn read_frame<R: AsyncRead + Unpin>(
    from: &mut R,
) -> std::io::Result<Option<(u8, Bytes)>> {
    let mut head = [0; 5];
    if from.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut head[1..]).await?;
    let n = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if n > FRAME_BYTES_MAX {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "frame is too large"));
    }
    let mut payload = vec![0; n];
    from.read_exact(&mut payload).await?;
    Ok(Some((head[0], payload.into())))
}

/// One frame; `payload` must not be longer than `FRAME_BYTES_MAX`.
pub fn frame(channel: u8, payload: &[u8]) -> Bytes {
    debug_assert!(payload.len() <= FRAME_BYTES_MAX);
    let mut bytes = BytesMut::with_capacity(payload.len() + 5);
    bytes.put_u8(channel);
    bytes.put_u32(u32::try_from(payload.len()).unwrap_or(0));
    bytes.put_slice(payload);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn all(mut bytes: &[u8]) -> (Vec<(u8, Bytes)>, Option<std::io::ErrorKind>) {
        let mut frames = Vec::new();
        loop {
            match read_frame(&mut bytes).await {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, None),
                Err(error) => return (frames, Some(error.kind())),
            }
        }
    }

    fn blocking<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(work)
    }

    proptest! {
        #[test]
        fn frames_read_back_and_a_cut_is_noticed(
            sent in proptest::collection::vec(
                (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..5),
            cut in 0usize..100,
        ) {
            let bytes: Vec<u8> = sent.iter().flat_map(|(c, p)| frame(*c, p)).collect();
            let sent: Vec<(u8, Bytes)> = sent.into_iter().map(|(c, p)| (c, p.into())).collect();
            prop_assert_eq!(blocking(all(&bytes)), (sent.clone(), None));
            let cut = cut.min(bytes.len());
            let (read, error) = blocking(all(&bytes[..cut]));
            prop_assert!(sent.starts_with(&read));
            let whole: usize = read.iter().map(|(_, p)| p.len() + 5).sum();
            let wanted = (whole < cut).then_some(std::io::ErrorKind::UnexpectedEof);
            prop_assert_eq!(error, wanted);
        }
    }

    #[tokio::test]
    async fn a_frame_has_an_end() {
        let largest = vec![7; FRAME_BYTES_MAX];
        let (frames, error) = all(&frame(channel::STDOUT, &largest)).await;
        assert_eq!((frames[0].1.len(), error), (FRAME_BYTES_MAX, None));
        // Refused by its head, before anything is held for it.
        let (frames, error) = all(&[channel::STDIN, 0, 1, 0, 1]).await;
        assert_eq!((frames.len(), error), (0, Some(std::io::ErrorKind::InvalidData)));
        let (_, error) = all(&[channel::STDIN, 0xFF, 0xFF, 0xFF, 0xFF]).await;
        assert_eq!(error, Some(std::io::ErrorKind::InvalidData));
    }
}
