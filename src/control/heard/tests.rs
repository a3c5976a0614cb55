//! Silence, hellos and the standstill of the leader itself.

use super::*;

fn at(ms: u64) -> Moment {
    Moment::from_ms(ms)
}

fn n(name: &str) -> NodeId {
    NodeId::from(name)
}

/// A leader that looks every 200 ms from its election until `end_ms`.
fn attend(heard: &mut Heard, from_ms: u64, end_ms: u64) {
    for ms in (from_ms..=end_ms).step_by(200) {
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
    attend(&mut heard, 0, 4_800);
    assert!(heard.is_here(&n("a")) && !heard.is_lost(&n("a")));
    attend(&mut heard, 4_800, 5_000);
    assert!(heard.is_lost(&n("a")) && !heard.is_here(&n("a")));
    assert!(heard.is_lost(&n("never-heard")), "counts from the election");
    heard.hear(&n("a"), at(5_000), Timestamp::EPOCH);
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
        attend(&mut heard, 0, 4_800);
        let back = 4_800 + pause_ms;
        heard.attend(at(back));
        assert!(!heard.is_lost(&n("a")) && !heard.is_lost(&n("b")), "{pause_ms}");
        assert_eq!(heard.silence(&n("a")), Duration::from_millis(4_800), "its own silence stays");
        attend(&mut heard, back, back + 4_800);
        assert!(!heard.is_lost(&n("a")), "{pause_ms}: five seconds from the return");
        attend(&mut heard, back + 4_800, back + 5_000);
        assert!(heard.is_lost(&n("a")) && heard.is_lost(&n("b")), "{pause_ms}");
        assert_eq!(heard.silence(&n("a")), Duration::from_millis(9_800));
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
