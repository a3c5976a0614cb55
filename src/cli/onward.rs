//! `tepui log --follow` of what is searched: lines of all instances in order as they are written, also
//! of instances that come later, over one stream of the cluster.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;
use tokio::time::sleep;

use super::{
    args::Log,
    client::Ask,
    error::{CliError, Exit, Outcome},
    run::Context,
    search::{self, Past},
    sse::Events,
    text::{field, list},
};
use crate::base::clock::Timestamp;

/// Connections lost in a row before it is given up.
const LOST_MAX: u32 = 5;
/// Lines of the first event of a connection: what was written meanwhile.
const LINES: usize = 2_000;
/// How far back a new connection reaches: lines of a slow node come late.
const OVERLAP: Duration = Duration::from_secs(2);

/// A line's place: task, stream, time and offset.
type Place = (String, String, String, u64);

/// What was printed of the last moments, and from when on to ask.
#[derive(Default)]
struct Known {
    newest: String,
    places: BTreeSet<Place>,
}

impl Known {
    /// Whether a line is a new one; a line that has not ended comes again.
    fn is_new(&mut self, line: &Value) -> bool {
        let of = |name: &str| field(line, name).to_owned();
        let offset = line["offset"].as_u64().unwrap_or(0);
        if line["partial"] == true {
            return false;
        }
        let at = of("at");
        if at > self.newest {
            self.newest.clone_from(&at);
        }
        self.places.insert((of("task"), of("stream"), at, offset))
    }

    /// From when on a connection asks.
    fn since(&self) -> String {
        let newest = Timestamp::parse(&self.newest);
        newest.map_or_else(String::new, |newest| (newest - OVERLAP).to_string())
    }

    /// Forgets what no connection asks for again.
    fn trim(&mut self) {
        let since = self.since();
        self.places.retain(|(.., at, _)| *at >= since);
    }
}

/// Prints what comes after `past`, until one that was named has ended.
pub async fn follow(cx: &mut Context, log: &Log, of: &str, mut past: Past) -> Outcome {
    let mut known = Known { newest: cx.io.clock.now().to_string(), ..Known::default() };
    if let Some(last) =
        past.lines.iter().rev().map(|line| field(line, "at")).find(|at| !at.is_empty())
    {
        last.clone_into(&mut known.newest);
    }
    past.lines.iter().for_each(|line| {
        known.is_new(line);
    });
    past.lines.clear();
    let mut n_lost = 0;
    loop {
        match connection(cx, log, of, &mut past, &mut known).await {
            Ok(true) => return Ok(()),
            Ok(false) => n_lost = 0,
            Err(error) if error.exit != Exit::Unreachable || n_lost >= LOST_MAX => {
                return Err(error);
            }
            Err(_) => n_lost += 1,
        }
        sleep(Duration::from_millis(200) * n_lost.max(1)).await;
    }
}

/// One connection; whether it ended because all has.
async fn connection(
    cx: &mut Context,
    log: &Log,
    of: &str,
    past: &mut Past,
    known: &mut Known,
) -> Outcome<bool> {
    let since = known.since();
    let path = format!("{}&follow=true", search::path(log, of, LINES, &[("since", &since)]));
    let answer = cx.client.open(Ask::get(path).header("accept", "text/event-stream")).await?;
    let mut events = Events::new(answer.into_body());
    let mut is_heard = false;
    loop {
        let event = match events.next().await {
            Ok(Some(event)) => event,
            // Something came: another connection goes on from there.
            Ok(None) | Err(_) if is_heard => return Ok(false),
            Ok(None) => return Err(CliError::new(Exit::Unreachable, "the stream broke off")),
            Err(error) => return Err(error),
        };
        is_heard = true;
        match event.name.as_str() {
            "lines" => {
                let logs: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
                past.note_streams(&logs);
                past.lines =
                    list(&logs, "lines").filter(|line| known.is_new(line)).cloned().collect();
                search::print(cx, past, log.times, of.starts_with('/'))?;
                past.lines.clear();
                past.away.clear();
                known.trim();
            }
            "end" => return Ok(true),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_known_for_as_long_as_a_connection_may_bring_them_again() {
        let line = |second: u32, partial: bool| {
            let at = format!("2026-11-29T06:00:{second:02}.000Z");
            json!({"task": "t", "stream": "stdout", "at": at, "offset": second, "partial": partial})
        };
        let mut known = Known::default();
        assert!(!known.is_new(&line(1, true)), "it has not ended");
        assert!(known.is_new(&line(1, false)) && !known.is_new(&line(1, false)));
        for second in 2..60 {
            assert!(known.is_new(&line(second, false)));
            known.trim();
            assert!(known.places.len() <= 3, "{:?}", known.places);
        }
        assert!(known.since().starts_with("2026-11-29T06:00:57"), "{}", known.since());
        assert!(!known.is_new(&line(57, false)), "a new connection brings it again");
    }
}
