//! The output of a container as the engine keeps it, from a point in time on.

use bollard::{container::LogOutput, query_parameters::LogsOptions};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::engine::{Engine, EngineError};

/// Longest part of a line that the engine passes on in one piece.
pub const PART_BYTES: usize = 16 << 10;
/// The first API version (engine 23) that marks the end of every line.
const MARKS_ALL_ENDS: (usize, usize) = (1, 42);

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPiece {
    pub is_stderr: bool,
    /// When the engine read it, as it writes times (RFC 3339 with nanoseconds; sorts as text).
    pub at: String,
    pub bytes: Bytes,
    /// The engine leaves out the line break at the end of a line that it has cut into parts.
    pub loses_breaks: bool,
}

impl Engine {
    /// Follows the output of container `id` from `since` (seconds since the epoch) until it has
    /// ended and everything was read.
    pub async fn follow_logs(
        &self,
        id: &str,
        since: i32,
    ) -> Result<impl Stream<Item = Result<LogPiece, EngineError>> + Send + use<'_>, EngineError>
    {
        let options = LogsOptions {
            follow: true,
            stdout: true,
            stderr: true,
            since,
            timestamps: true,
            ..LogsOptions::default()
        };
        let client = self.client().await?;
        let version = client.client_version();
        let loses_breaks = (version.major_version, version.minor_version) < MARKS_ALL_ENDS;
        Ok(client.logs(id, Some(options)).filter_map(move |item| {
            std::future::ready(match item {
                Ok(output) => piece(output, loses_breaks).map(Ok),
                Err(error) => Some(Err(self.error(&error))),
            })
        }))
    }
}

/// Splits the engine's time stamp off.
fn piece(output: LogOutput, loses_breaks: bool) -> Option<LogPiece> {
    let (is_stderr, message) = match output {
        LogOutput::StdErr { message } => (true, message),
        LogOutput::StdOut { message } | LogOutput::Console { message } => (false, message),
        LogOutput::StdIn { .. } => return None,
    };
    let cut = message.iter().position(|b| *b == b' ')?;
    let at = String::from_utf8(message[..cut].to_vec()).ok()?;
    Some(LogPiece { is_stderr, at, bytes: message.slice(cut + 1..), loses_breaks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_taken_off() {
        let message = Bytes::from_static(b"2026-01-02T03:04:05.000000006Z a b\n");
        let piece = piece(LogOutput::StdErr { message }, false).unwrap();
        assert!(piece.is_stderr);
        assert_eq!(piece.at, "2026-01-02T03:04:05.000000006Z");
        assert_eq!(&piece.bytes[..], b"a b\n");
    }
}
