//! Silence, hellos and the standstill of the leader itself.

use super::*;

fn at(ms: u64) -> Moment {
    Moment::from_ms(ms)
}

fn n(name: &str) -> NodeId {
    NodeId::from(name)
}

/// A leader that looks every 100 ms from its election until `end_ms`.
fn attend(heard: &mut Heard, from_ms: u64, end_ms: u64) {
    for ms in (from_ms..=end_ms).step_by(100) {
        heard.attend(at(ms));
    }
}

fn open(heard: &mut Heard, ms: u64) {
    heard.greet(&n("a"), at(ms), Timestamp::EPOCH);
    heard.open(&n("a"), at(ms), Timestamp::EPOCH);
}

#[test]
fn silence_makes_lost_and_a_word_ends_it() {
    let mut heard = Heard::from(at(0));
    open(&mut heard, 0);
    attend(&mut heard, 0, 2_400);
    assert!(heard.is_here(&n("a")) && !heard.is_lost(&n("a")));
    attend(&mut heard, 2_400, 2_500);
    assert!(heard.is_lost(&n("a")) && !heard.is_here(&n("a")));
    assert!(heard.is_lost(&n("never-heard")), "counts from the election");
    heard.hear(&n("a"), at(2_500), Timestamp::EPOCH);
    assert!(heard.is_here(&n("a")));
}

#[test]
fn a_broken_connection_gets_two_seconds_and_a_hello_ends_that() {
    let mut heard = Heard::from(at(0));
    open(&mut heard, 0);
    heard.lose(&n("a"), at(0));
    attend(&mut heard, 0, 1_800);
    assert!(!heard.is_lost(&n("a")) && !heard.is_here(&n("a")));
    attend(&mut heard, 1_800, 2_000);
    assert!(heard.is_lost(&n("a")));
    heard.greet(&n("a"), at(2_000), Timestamp::EPOCH);
    assert!(!heard.is_lost(&n("a")), "the log may take its time");
    assert!(!heard.is_here(&n("a")), "but it is not registered yet");
}

#[test]
fn a_leader_that_stood_still_blames_nobody() {
    for pause_ms in [1_200, 4_000, 7_000, 20_000, 3_600_000] {
        let mut heard = Heard::from(at(0));
        open(&mut heard, 0);
        attend(&mut heard, 0, 2_400);
        let back = 2_400 + pause_ms;
        heard.attend(at(back));
        assert!(!heard.is_lost(&n("a")) && !heard.is_lost(&n("b")), "{pause_ms}");
        assert_eq!(heard.silence(&n("a")), Duration::from_millis(2_400), "its own silence stays");
        attend(&mut heard, back, back + 2_400);
        assert!(!heard.is_lost(&n("a")), "{pause_ms}: its whole time from the return");
        attend(&mut heard, back + 2_400, back + 2_500);
        assert!(heard.is_lost(&n("a")) && heard.is_lost(&n("b")), "{pause_ms}");
        assert_eq!(heard.silence(&n("a")), Duration::from_millis(4_900));
    }
}

#[test]
fn a_connection_that_broke_before_a_pause_gets_its_time_after_it() {
    let mut heard = Heard::from(at(0));
    open(&mut heard, 0);
    heard.lose(&n("a"), at(0));
    attend(&mut heard, 0, 1_800);
    heard.attend(at(30_000));
    assert!(!heard.is_lost(&n("a")));
    attend(&mut heard, 30_000, 32_000);
    assert!(heard.is_lost(&n("a")));
}

/// What happened to one node, in the order it did: the leader looked, or something of the node came.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Event {
    Look,
    Word,
    Lost,
}

/// How long the leader looked on without a gap after the last event that `is_meant`; of a node of
/// which there was none, since the election. Told from the whole story, with nothing remembered.
fn watched(story: &[(u64, Event)], is_meant: impl Fn(Event) -> bool) -> Duration {
    let (mut watched, mut before) = (0, 0);
    for (at, event) in story {
        let gap = at - before;
        // After a gap the leader begins to watch anew, as far as it can call somebody lost.
        watched = if gap > 1_000 { 0 } else { watched + gap };
        if is_meant(*event) {
            watched = 0;
        }
        before = *at;
    }
    Duration::from_millis(watched)
}

#[test]
fn whoever_was_heard_within_its_time_is_not_lost_whatever_the_leader_slept_through() {
    let (mut n_lost, mut n_kept) = (0, 0);
    for seed in 0..200 {
        let mut rng = crate::base::rng::Rng::from_seed(seed);
        let mut heard = Heard::from(at(0));
        let (mut now, mut is_broken) = (0, false);
        let mut story = Vec::new();
        // Some seeds are of a chatty node, some of one that is hardly heard.
        let chatty = 1 + rng.below(60);
        for _ in 0..400 {
            now += [20, 20, 100, 500, 999, 1_000, 1_001, 4_000, 90_000]
                [usize::try_from(rng.below(9).min(rng.below(9))).unwrap()];
            heard.attend(at(now));
            let event = match rng.below(chatty) {
                0 if rng.below(3) == 0 => {
                    is_broken |= heard.seen_at(&n("a")).is_some();
                    heard.lose(&n("a"), at(now));
                    Event::Lost
                }
                1 => {
                    is_broken = false;
                    open(&mut heard, now);
                    Event::Word
                }
                2 if heard.seen_at(&n("a")).is_some() => {
                    heard.hear(&n("a"), at(now), Timestamp::EPOCH);
                    Event::Word
                }
                _ => Event::Look,
            };
            story.push((now, event));
            let silent = watched(&story, |e| e == Event::Word);
            let apart = watched(&story, |e| e == Event::Lost);
            let is_due =
                silent >= limit::AGENT_SILENT_MAX || (is_broken && apart >= Duration::from_secs(2));
            assert_eq!(heard.is_lost(&n("a")), is_due, "seed {seed} at {now}: {story:?}");
            assert!(!(heard.is_lost(&n("a")) && heard.is_here(&n("a"))));
            if is_due { n_lost += 1 } else { n_kept += 1 }
        }
    }
    assert!(n_lost > 1_000 && n_kept > 1_000, "both were tried: {n_lost} and {n_kept}");
}
