//! The sessions that browsers have open: found by their id, for their owner alone, and bounded.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    base::rng::Rng,
    http::{auth::Lease, error::ApiError, websocket::Socket},
};

/// Sessions of one user: more terminals than anybody keeps an eye on.
const OF_USER_MAX: usize = 16;
/// Sessions in all. With what each keeps of its output, 32 MiB.
const ALL_MAX: usize = 100;
/// Connections that want to take over one session at a time.
const WAITING_MAX: usize = 2;

/// A connection that takes a session.
pub struct Attach {
    pub socket: Socket,
    /// What its client has already.
    pub from: Option<u64>,
    /// The client's terminal, rows and columns.
    pub size: Option<(u16, u16)>,
    /// The session goes no further than this.
    pub lease: Option<Lease>,
}

/// Open sessions by their id.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<String, Entry>>);

struct Entry {
    uid: Arc<str>,
    task: String,
    attach: mpsc::Sender<Attach>,
}

/// A place among the sessions, given back when dropped.
pub struct Place {
    of: Arc<Sessions>,
    /// What the session is found by.
    pub id: String,
    /// Connections that take it over.
    pub attaches: mpsc::Receiver<Attach>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.0.lock().remove(&self.id);
    }
}

impl Sessions {
    /// Takes a place for a session of `uid` in `task`.
    pub fn place(self: &Arc<Self>, uid: &str, task: &str) -> Result<Place, ApiError> {
        let (attach, attaches) = mpsc::channel(WAITING_MAX);
        let id = Rng::from_os().hex(32);
        let mut open = self.0.lock();
        let n_own = open.values().filter(|entry| &*entry.uid == uid).count();
        if n_own >= OF_USER_MAX || open.len() >= ALL_MAX {
            let text = format!("you have {n_own} sessions open, there are {} in all", open.len());
            let hint =
                format!("at most {OF_USER_MAX} of one user and {ALL_MAX} in all: close some");
            return Err(
                ApiError::new(http::StatusCode::CONFLICT, "too_many_sessions", text).hint(hint)
            );
        }
        let entry = Entry { uid: uid.into(), task: task.to_owned(), attach };
        open.insert(id.clone(), entry);
        Ok(Place { of: self.clone(), id, attaches })
    }

    /// The way to a session, for its owner.
    pub fn find(&self, id: &str, uid: &str, task: &str) -> Result<mpsc::Sender<Attach>, ApiError> {
        let open = self.0.lock();
        let own = open.get(id).filter(|entry| &*entry.uid == uid && entry.task == task);
        own.map(|entry| entry.attach.clone()).ok_or_else(|| {
            ApiError::not_found("this session")
                .hint("it ended, or its master does not lead any more")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_no_more_than_so_many() {
        let sessions = Arc::new(Sessions::default());
        let mut places: Vec<Place> =
            (0..OF_USER_MAX).map(|_| sessions.place("ann", "t").ok().unwrap()).collect();
        assert!(sessions.place("ann", "t").is_err());
        let bob = sessions.place("bob", "t").ok().unwrap();
        assert!(sessions.find(&bob.id, "bob", "t").is_ok());
        assert!(sessions.find(&bob.id, "ann", "t").is_err(), "one session, one owner");
        assert!(sessions.find(&bob.id, "bob", "u").is_err());
        drop(places.pop());
        assert!(sessions.place("ann", "t").is_ok(), "what ended has left its place");
        let more: Vec<_> = (0..200).map(|n| sessions.place(&format!("u{n}"), "t")).collect();
        let open = more.iter().filter(|place| place.is_ok()).count();
        assert_eq!(open + places.len() + 1, ALL_MAX);
    }
}
