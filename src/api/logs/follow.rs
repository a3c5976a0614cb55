//! What all instances write, as a stream of events: the newest page first, then each line soon after
//! it was written, also of instances that come later.
//!
//! Each stream of each instance is a tail that knows how far it was read. A look asks every tail's
//! agent for what is new and sends it as one event, in order; what a slow agent has comes with a later
//! event. Instances come and go by the newest state. The reader's pace holds the looks back; a tail
//! that is left too far behind skips, and says so.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream as futures};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep},
};

use super::{
    AT_ONCE, Asked,
    line::{Line, Wanted},
    merge::{self, Logs, Row, StreamRow},
    reader::Source,
    sources,
};
use crate::{
    api::context::Api,
    http::{Response, error::ApiError, stream},
};

mod tail;

use tail::Tail;

/// Readers at a time.
const FOLLOWERS_MAX: usize = 64;
/// First and longest pause between two looks while nothing new comes.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A reader of many streams looks less often: so many questions a second at most.
const PAUSE_PER_TAIL: Duration = Duration::from_millis(4);
/// How often a silent stream shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Bytes of one event, and of one tail's part of it at least.
const LOOK_BYTES_MAX: u64 = 1 << 20;
const TAIL_BYTES_MIN: u64 = 32 << 10;

static FOLLOWERS: Semaphore = Semaphore::const_new(FOLLOWERS_MAX);

/// The stream. Fails before it begins when there is nothing of that name.
pub async fn response(api: &Arc<Api>, of: String, asked: Asked) -> Result<Response, ApiError> {
    let slot = FOLLOWERS.try_acquire().map_err(|_| ApiError::crowded("readers of logs"))?;
    let first = sources(&api.state(), &of, &asked)?;
    let known = first.iter().map(key).collect();
    let found = super::searched(api, first, &asked.wanted).await?;
    let tails = found.iter().map(|(source, found)| Tail::new(source.clone(), found.next_offset));
    let tails = tails.collect();
    let page = merge::backwards(found, asked.wanted.lines_max);
    let (sender, body) = stream::channel(2);
    let follower = Follower { api: api.clone(), of, asked, sender, known, tails, _slot: slot };
    api.streams.connection("logs follow", follower.run(page));
    Ok(stream::response(body))
}

fn key(source: &Source) -> (String, &'static str) {
    (source.id.clone(), source.stream)
}

struct Follower {
    api: Arc<Api>,
    of: String,
    asked: Asked,
    sender: stream::Sender,
    /// Streams that are tails, or were.
    known: BTreeSet<(String, &'static str)>,
    tails: Vec<Tail>,
    _slot: SemaphorePermit<'static>,
}

impl Follower {
    async fn run(mut self, page: Logs) {
        if self.tell_lines(&page).await.is_err() {
            return;
        }
        let (mut pause, mut told_at) = (PAUSE, Instant::now());
        loop {
            let pause_min = PAUSE_PER_TAIL * u32::try_from(self.tails.len()).unwrap_or(u32::MAX);
            tokio::select! {
                () = self.sender.closed() => return,
                () = sleep(pause.max(pause_min)) => {}
            }
            let is_over = self.take_in();
            let logs = self.look().await;
            let is_news = !logs.lines.is_empty() || !logs.streams.is_empty();
            if is_news {
                if self.tell_lines(&logs).await.is_err() {
                    return;
                }
                (told_at, pause) = (Instant::now(), PAUSE);
            } else if is_over && self.tails.is_empty() {
                self.tell("end", r#"{"reason":"task_ended"}"#).await.ok();
                return;
            } else {
                if told_at.elapsed() >= HEARTBEAT {
                    if self.tell("heartbeat", "{}").await.is_err() {
                        return;
                    }
                    told_at = Instant::now();
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// Takes in what the newest state has more, and which tails have ended by it. Whether no other can
    /// come: an app may always have another instance, and an instance another attempt.
    fn take_in(&mut self) -> bool {
        let state = self.api.state();
        let Ok(now) = sources(&state, &self.of, &self.asked) else {
            self.tails.iter_mut().for_each(Tail::will_end);
            return true;
        };
        for tail in &mut self.tails {
            match now.iter().find(|source| key(source) == key(tail.source())) {
                Some(source) => tail.renew(source.clone()),
                None => tail.will_end(),
            }
        }
        for source in now {
            if self.known.insert(key(&source)) {
                self.tails.push(Tail::fresh(source));
            }
        }
        !self.of.starts_with('/') && !state.instances.contains_key(self.of.as_str())
    }

    /// What all tails have to say.
    async fn look(&mut self) -> Logs {
        let tails = std::mem::take(&mut self.tails);
        let share = LOOK_BYTES_MAX / tails.len().max(1) as u64;
        let (api, wanted) = (&*self.api, &self.asked.wanted);
        let looked = futures::iter(tails).map(|mut tail| async move {
            let before = tail.trouble();
            let lines = tail.look(api, share.max(TAIL_BYTES_MIN)).await;
            let is_news = tail.is_fresh() || tail.trouble() != before;
            (tail, lines, is_news)
        });
        let looked: Vec<(Tail, Vec<Line>, bool)> = looked.buffered(AT_ONCE).collect().await;
        let mut logs = Logs::default();
        for (tail, lines, is_news) in looked {
            let source = tail.source();
            let task: Arc<str> = source.id.as_str().into();
            if is_news {
                let (host, next_offset) = (source.host.clone(), tail.offset());
                let (stream, cut, task) = (source.stream, tail.trouble(), task.clone());
                logs.streams.push(StreamRow { task, host, stream, next_offset, cut });
            }
            let rows = matching(lines, wanted).map(|l| Row::new(task.clone(), source.stream, l));
            logs.lines.extend(rows);
            if !tail.is_over() {
                self.tails.push(tail);
            }
        }
        merge::sort(&mut logs.lines);
        logs
    }

    async fn tell_lines(&self, logs: &Logs) -> Result<(), stream::Cut> {
        let data = serde_json::to_string(logs).map_err(|_| stream::Cut::Gone)?;
        self.tell("lines", &data).await
    }

    async fn tell(&self, name: &str, data: &str) -> Result<(), stream::Cut> {
        let frame = stream::event(Some(name), None, data);
        self.sender.send_in_time(frame).await
    }
}

fn matching(lines: Vec<Line>, wanted: &Wanted) -> impl Iterator<Item = Line> {
    lines.into_iter().filter(|line| wanted.matches(&line.text))
}
