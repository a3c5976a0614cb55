//! One followed stream: how far it was read, over rotations, and the line that has not ended.

use http::StatusCode;

use super::super::{
    line::{LINE_BYTES_MAX, Line},
    reader::{Index, Reader, Source},
};
use crate::{api::context::Api, http::error::ApiError};

/// Bytes asked of a file at once.
const PIECE_BYTES: u64 = 256 << 10;
/// A tail that is further behind than this skips to the end.
const BEHIND_MAX: u64 = 2 << 20;

#[derive(Debug)]
pub struct Tail {
    source: Source,
    /// Where it is read from next.
    offset: u64,
    /// What stands before `offset` of a line that has not ended, and how much of it was told.
    rest: Vec<u8>,
    rest_bytes: u64,
    n_told: u64,
    index: Index,
    /// What was read had no times yet; it is read again once.
    waits: bool,
    /// Nobody has heard of it yet.
    fresh: bool,
    ended: bool,
    over: bool,
    trouble: Option<&'static str>,
}

/// How far a file was read.
enum Read {
    /// There was nothing more.
    All,
    Part,
    /// It is shorter than what was read of it: another one by now.
    Replaced,
}

impl Tail {
    /// Of a stream that was read up to `offset`, where a line begins.
    pub fn new(source: Source, offset: u64) -> Self {
        let ended = source.task.ended;
        Self {
            source,
            offset,
            rest: Vec::new(),
            rest_bytes: 0,
            n_told: 0,
            index: Index::default(),
            waits: false,
            fresh: false,
            ended,
            over: false,
            trouble: None,
        }
    }

    /// Of a stream that nobody has heard of yet.
    pub fn fresh(source: Source) -> Self {
        Self { fresh: true, ..Self::new(source, 0) }
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Where the file goes on.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether all of it was told and nothing can come.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether this is the first that is told of it; asked once.
    pub fn is_fresh(&mut self) -> bool {
        std::mem::take(&mut self.fresh)
    }

    /// Why not all of it is told.
    pub fn trouble(&self) -> Option<&'static str> {
        self.trouble
    }

    /// The source as it is by now.
    pub fn renew(&mut self, source: Source) {
        self.ended |= source.task.ended;
        self.source = source;
    }

    /// Nothing will be written any more.
    pub fn will_end(&mut self) {
        self.ended = true;
    }

    /// The lines since the last look, up to so many bytes.
    pub async fn look(&mut self, api: &Api, bytes_max: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        match self.read(api, bytes_max, &mut lines).await {
            Ok(()) => self.trouble = self.trouble.filter(|t| *t == "behind"),
            // Nothing was written yet, or it is not kept any more.
            Err(error) if error.status() == StatusCode::NOT_FOUND => self.over = self.ended,
            Err(_) => self.trouble = Some("unreachable"),
        }
        lines
    }

    async fn read(
        &mut self,
        api: &Api,
        bytes_max: u64,
        lines: &mut Vec<Line>,
    ) -> Result<(), ApiError> {
        let ended = self.ended;
        let source = self.source.clone();
        let (stream, index) = (source.stream.to_owned(), std::mem::take(&mut self.index));
        let mut reader = Reader::new(api, &source, stream).with(index);
        let outcome = self.read_file(&mut reader, bytes_max, lines).await;
        if matches!(outcome, Ok(Read::All)) {
            self.tell_rest(&reader, ended, lines);
            self.over = ended;
        }
        let is_replaced = matches!(outcome, Ok(Read::Replaced));
        self.index = reader.into_index();
        outcome?;
        if is_replaced { self.read_replaced(api, &source, lines).await } else { Ok(()) }
    }

    /// Another file has taken the place of the one that was read: tells the end of that one.
    async fn read_replaced(
        &mut self,
        api: &Api,
        source: &Source,
        lines: &mut Vec<Line>,
    ) -> Result<(), ApiError> {
        let (name, index) = (format!("{}.1", source.stream), std::mem::take(&mut self.index));
        let mut reader = Reader::new(api, source, name).with(index);
        // Nothing more is written there, no times either.
        self.waits = true;
        match self.read_file(&mut reader, BEHIND_MAX, lines).await {
            Ok(_) => self.tell_rest(&reader, true, lines),
            Err(error) if error.status() == StatusCode::NOT_FOUND => {}
            Err(error) => {
                self.index = reader.into_index();
                return Err(error);
            }
        }
        (self.offset, self.rest_bytes, self.n_told, self.waits) = (0, 0, 0, false);
        self.rest.clear();
        Ok(())
    }

    /// Reads on in a file.
    async fn read_file(
        &mut self,
        reader: &mut Reader<'_>,
        bytes_max: u64,
        lines: &mut Vec<Line>,
    ) -> Result<Read, ApiError> {
        let mut n_read = 0;
        while n_read < bytes_max {
            let n = PIECE_BYTES.min(bytes_max);
            let mut piece = reader.bytes(self.offset, n).await?;
            if piece.size < self.offset {
                return Ok(Read::Replaced);
            }
            if piece.size - self.offset > BEHIND_MAX {
                self.skip(piece.size - bytes_max.min(BEHIND_MAX));
                piece = reader.bytes(self.offset, n).await?;
            }
            if piece.bytes.is_empty() {
                return Ok(Read::All);
            }
            let is_noted = reader.fresh_times(self.offset).await?;
            if !is_noted && reader.has_times() && !self.waits {
                // The output is written before its times are.
                self.waits = true;
                break;
            }
            self.waits = false;
            n_read += piece.bytes.len() as u64;
            self.take(reader, &piece.bytes, lines);
            if self.offset >= piece.size {
                break;
            }
        }
        Ok(Read::Part)
    }

    /// Leaves out what is before `offset`.
    fn skip(&mut self, offset: u64) {
        self.trouble = Some("behind");
        (self.offset, self.rest_bytes, self.n_told) = (offset, 0, 0);
        self.rest.clear();
    }

    fn take(&mut self, reader: &Reader<'_>, bytes: &[u8], lines: &mut Vec<Line>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.offset += part.len() as u64;
            self.rest_bytes += part.len() as u64;
            let room = (LINE_BYTES_MAX + 2).saturating_sub(self.rest.len());
            self.rest.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                lines.push(self.line(reader));
                (self.rest_bytes, self.n_told) = (0, 0);
                self.rest.clear();
            }
        }
    }

    /// A line that has not ended is told when it stays so, and once more when it has.
    fn tell_rest(&mut self, reader: &Reader<'_>, is_last: bool, lines: &mut Vec<Line>) {
        if self.rest.is_empty() || (self.n_told == self.rest_bytes && !is_last) {
            return;
        }
        lines.push(Line { partial: !is_last, ..self.line(reader) });
        self.n_told = self.rest_bytes;
        if is_last {
            (self.rest_bytes, self.n_told) = (0, 0);
            self.rest.clear();
        }
    }

    fn line(&self, reader: &Reader<'_>) -> Line {
        let begun = self.offset - self.rest_bytes;
        Line::new(reader.known_time(begun), begun, &self.rest)
    }
}
