//! A body in chunks, read piece by piece and written anew: extensions and trailers end here.

use super::window::Window;

/// Longest line of a size with its extensions.
const SIZE_LINE_MAX: usize = 1024;
/// All trailers together.
const TRAILERS_MAX: usize = 16 << 10;

/// Where in a body of chunks the next byte stands.
#[derive(Debug)]
pub struct Chunks {
    at: At,
    n_trailers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size,
    Data(u64),
    /// The line end after a chunk's data.
    DataEnd,
    Trailers,
    End,
}

/// The chunks make no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer's chunks make no sense")]
pub struct Nonsense;

impl Default for Chunks {
    fn default() -> Self {
        Self { at: At::Size, n_trailers: 0 }
    }
}

impl Chunks {
    pub fn is_done(&self) -> bool {
        self.at == At::End
    }

    /// Takes what can be taken of `input` and appends its data to `out` as chunks of our own; with
    /// the last one, the end.
    pub fn pass(&mut self, input: &mut Window, out: &mut Vec<u8>) -> Result<(), Nonsense> {
        loop {
            match self.at {
                At::Size => {
                    let Some(line) = whole_line(input.filled(), SIZE_LINE_MAX)? else { break };
                    let size = size(line)?;
                    let n = line.len() + 2;
                    input.consume(n);
                    self.at = if size == 0 { At::Trailers } else { At::Data(size) };
                }
                At::Data(left) => {
                    let there = input.filled();
                    if there.is_empty() {
                        break;
                    }
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(there.len());
                    write(out, &there[..n]);
                    input.consume(n);
                    let left = left - n as u64;
                    self.at = if left == 0 { At::DataEnd } else { At::Data(left) };
                }
                At::DataEnd => {
                    let Some(line) = whole_line(input.filled(), 0)? else { break };
                    debug_assert!(line.is_empty());
                    input.consume(2);
                    self.at = At::Size;
                }
                At::Trailers => {
                    let Some(line) = whole_line(input.filled(), SIZE_LINE_MAX * 4)? else { break };
                    let n = line.len();
                    self.n_trailers += n;
                    if self.n_trailers > TRAILERS_MAX {
                        return Err(Nonsense);
                    }
                    input.consume(n + 2);
                    if n == 0 {
                        out.extend_from_slice(LAST);
                        self.at = At::End;
                    }
                }
                At::End => break,
            }
        }
        Ok(())
    }
}

/// The last chunk.
pub const LAST: &[u8] = b"0\r\n\r\n";

/// Appends `data`, which is not empty, as one chunk.
pub fn write(out: &mut Vec<u8>, data: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut size = [0_u8; 16];
    let (mut n, mut at) = (data.len(), size.len());
    while n > 0 {
        at -= 1;
        size[at] = DIGITS[n & 15];
        n >>= 4;
    }
    out.extend_from_slice(&size[at..]);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// The line in front of `bytes`, without its end; `None` until all of it is there.
fn whole_line(bytes: &[u8], n_max: usize) -> Result<Option<&[u8]>, Nonsense> {
    let seen = &bytes[..bytes.len().min(n_max + 2)];
    match seen.iter().position(|byte| *byte == b'\n') {
        Some(end) => match seen[..end].split_last() {
            Some((b'\r', line)) if !line.contains(&b'\r') => Ok(Some(line)),
            _ => Err(Nonsense),
        },
        None if seen.len() == n_max + 2 => Err(Nonsense),
        // The first byte of an end that is none can be told at once.
        None if n_max == 0 && seen.first().is_some_and(|byte| *byte != b'\r') => Err(Nonsense),
        None => Ok(None),
    }
}

/// The number in front of a size line: hexadecimal digits, then nothing or an extension.
fn size(line: &[u8]) -> Result<u64, Nonsense> {
    let n_digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at(n_digits);
    let is_end = rest.trim_ascii_start().first().is_none_or(|byte| *byte == b';');
    if digits.is_empty() || !is_end {
        return Err(Nonsense);
    }
    digits.iter().try_fold(0_u64, |n, digit| {
        let digit = (*digit as char).to_digit(16).unwrap_or_default();
        // The last value is kept free: a size is added to others.
        n.checked_mul(16).and_then(|n| n.checked_add(u64::from(digit))).ok_or(Nonsense)
    })
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    /// Passes `text` in pieces of `n` bytes; the end of the text is the end of the pieces.
    fn pass(text: &str, n: usize) -> Result<(String, bool, usize), Nonsense> {
        let (mut chunks, mut out) = (Chunks::default(), Vec::new());
        let mut input = Window::new(8192);
        let mut cx = Context::from_waker(Waker::noop());
        for mut piece in text.as_bytes().chunks(n) {
            assert!(input.poll_fill(&mut piece, &mut cx).is_ready());
            chunks.pass(&mut input, &mut out)?;
        }
        let text = String::from_utf8(out).unwrap();
        Ok((text, chunks.is_done(), input.filled().len()))
    }

    #[test]
    fn chunks_are_written_anew_without_extensions_and_trailers() {
        let text = "5;a=\"b\"\r\nhello\r\n00A \r\n, world...\r\n0\r\nX-Sum: 1\r\n\r\nrest";
        let whole = pass(text, 999).unwrap();
        assert_eq!(whole, ("5\r\nhello\r\na\r\n, world...\r\n0\r\n\r\n".to_owned(), true, 4));
        for n in 1..20 {
            let (out, is_done, _) = pass(text, n).unwrap();
            assert!(is_done, "in pieces of {n}");
            let (again, is_done, left) = pass(&out, 999).unwrap();
            assert!(is_done && left == 0);
            assert_eq!(again, out);
            let data: String = out.split("\r\n").skip(1).step_by(2).collect();
            assert_eq!(data, "hello, world...", "in pieces of {n}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for text in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1 2\r\n",
            "1\nx\r\n",
            "1\r\r\nx\r\n",
            "1;a\rb\r\nx\r\n",
            "1\r\nxy\r\n",
            "1\r\nx\n",
            "1\r\nx\ry",
            "10000000000000000\r\n",
            "0\r\nX: 1\n\r\n",
        ] {
            for n in [1, 999] {
                assert_eq!(pass(text, n), Err(Nonsense), "{text:?} by {n}");
            }
        }
        let long = format!("1;{}\r\n", "x".repeat(SIZE_LINE_MAX));
        assert_eq!(pass(&long, 100), Err(Nonsense));
        let many = format!("0\r\n{}", "X: y\r\n".repeat(TRAILERS_MAX / 4 + 1));
        assert_eq!(pass(&many, 100), Err(Nonsense));
    }

    #[test]
    fn a_part_is_not_the_end() {
        for text in
            ["", "5", "5\r", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\nX: y\r\n"]
        {
            assert!(!pass(text, 1).unwrap().1, "{text:?}");
        }
    }
}
