//! The way back: an answer's body to the client, as it comes.

use tokio::time::Instant;

use super::{
    answer::{self, Begun, Framing},
    chunks::{self, Chunks},
    client::Gone,
    head::Method,
    lines::Line,
    pass::{Next, Pass, Stop},
    window::Buffers,
};
use crate::http::Response;

impl Pass<'_> {
    /// Writes an answer of our own.
    pub async fn own(mut self, own: Response, method: Method, now: Instant) -> Next {
        let closes = self.client.is_drained();
        let out = &mut self.lent.get().out;
        out.clear();
        answer::write_own(out, &own, method, closes);
        drop(own);
        match self.client.write(out).await {
            Ok(()) if closes => Next::Close,
            Ok(()) => Next::Keep(now),
            Err(Gone) => Next::Gone,
        }
    }

    /// Passes the body on as it comes, behind the head that is written already.
    pub async fn relay(mut self, line: Box<Line>, begun: Begun, now: Instant) -> Next {
        let Begun { framing, keeps, .. } = begun;
        let relayed = match framing {
            Framing::Nothing => self.whole(line, 0, keeps, now).await,
            Framing::Length(n) => self.whole(line, n, keeps, now).await,
            Framing::Chunked => self.chunked(line, keeps).await,
            Framing::Rest => self.till_the_end(line).await,
        };
        match relayed {
            Ok(now) if !self.closes => Next::Keep(now),
            Ok(_) => Next::Close,
            Err(Stop::Failed(failure)) => {
                // Closed in the middle, so that nobody takes it for the whole.
                let error = crate::base::error::chain(&failure);
                tracing::debug!(peer = %self.door.peer, error, "an answer broke off");
                Next::Gone
            }
            Err(Stop::Gone | Stop::Ended) => Next::Gone,
        }
    }

    /// A body of `n` bytes.
    async fn whole(
        &mut self,
        mut line: Box<Line>,
        n: u64,
        keeps: bool,
        now: Instant,
    ) -> Result<Instant, Stop> {
        let Buffers { input, out } = self.lent.get();
        let first = of(n, input.filled());
        out.extend_from_slice(&input.filled()[..first]);
        input.consume(first);
        let mut left = n - first as u64;
        if left == 0 {
            // Free for others while the client is written to.
            let is_clean = keeps && input.is_empty();
            self.release(line, is_clean, now);
            self.client.write(&self.lent.get().out).await?;
            return Ok(now);
        }
        self.client.write(out).await?;
        let mut now = now;
        while left > 0 {
            now = Instant::now();
            self.client.wait.set(now + self.door.guide.proxy().lines.silence_max);
            self.more(&mut line).await?;
            let input = &mut self.lent.get().input;
            let n = of(left, input.filled());
            left -= n as u64;
            self.client.write(&input.filled()[..n]).await?;
            input.consume(n);
        }
        let is_clean = keeps && self.lent.get().input.is_empty();
        self.release(line, is_clean, now);
        Ok(Instant::now())
    }

    /// A body in chunks.
    async fn chunked(&mut self, mut line: Box<Line>, keeps: bool) -> Result<Instant, Stop> {
        let mut chunks = Chunks::default();
        loop {
            let Buffers { input, out } = self.lent.get();
            let sense = chunks.pass(input, out);
            let is_clean = keeps && input.is_empty();
            self.flush().await?;
            sense.map_err(Stop::broken)?;
            if chunks.is_done() {
                let now = Instant::now();
                self.release(line, is_clean, now);
                return Ok(now);
            }
            self.progressed();
            match self.more(&mut line).await {
                Err(Stop::Ended) => return self.end().await,
                outcome => outcome?,
            }
        }
    }

    /// A body that ends with the upstream's connection.
    async fn till_the_end(&mut self, mut line: Box<Line>) -> Result<Instant, Stop> {
        loop {
            let Buffers { input, out } = self.lent.get();
            if !input.is_empty() {
                chunks::write(out, input.filled());
                input.consume(usize::MAX);
            }
            self.flush().await?;
            self.progressed();
            match self.rest(&mut line).await {
                Ok(true) => {}
                Ok(false) | Err(Stop::Ended) => return self.end().await,
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Writes what is to be written.
    async fn flush(&mut self) -> Result<(), Stop> {
        let out = &mut self.lent.get().out;
        if !out.is_empty() {
            self.client.write(out).await?;
            out.clear();
        }
        Ok(())
    }

    /// The end of a body in chunks.
    async fn end(&mut self) -> Result<Instant, Stop> {
        self.client.write(chunks::LAST).await?;
        Ok(Instant::now())
    }

    fn release(&self, line: Box<Line>, is_clean: bool, now: Instant) {
        if is_clean {
            self.door.guide.proxy().lines.put(line, now);
        }
    }
}

/// How many of these bytes belong to a body of which `left` are to come.
fn of(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}
