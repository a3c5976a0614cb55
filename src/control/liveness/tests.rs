//! What the reconciler proposes as time passes.

use std::sync::Arc;

use super::*;
use crate::{
    base::clock::Moment,
    model::node::{NodeId, Reach},
    sim::build::{START, node},
};

fn state(reach: Reach) -> (State, NodeId) {
    let info = node(1, 4.0, 1024.0, &[]);
    let id = info.id.clone();
    let node =
        Node { info, reach, duty: Duty::Active, registered_at: START, reregistered_at: None };
    let mut state = State { at: START, ..State::default() };
    state.nodes.insert(id.clone(), Arc::new(node));
    (state, id)
}

fn reaches(commands: &[Command]) -> Vec<bool> {
    let reach = |c: &Command| match c {
        Command::NodeReach { reachable, .. } => Some(*reachable),
        _ => None,
    };
    commands.iter().filter_map(reach).collect()
}

fn heard_until(ms: u64, id: &NodeId) -> Heard {
    let mut heard = Heard::from(Moment::START);
    heard.greet(id, Moment::START, START);
    heard.open(id, Moment::START, START);
    for ms in (0..=ms).step_by(200) {
        heard.attend(Moment::from_ms(ms));
    }
    heard
}

#[test]
fn a_silent_node_is_called_lost_once_and_no_wall_clock_has_a_say() {
    let (state, id) = state(Reach::Reachable);
    for step in [-3_600_000, -6_000, 0, 6_000, 3_600_000] {
        let now = Timestamp::from_ms(START.as_ms() + step);
        assert!(self::step(&state, &heard_until(4_800, &id), now).is_empty(), "{step}");
        assert_eq!(reaches(&self::step(&state, &heard_until(5_000, &id), now)), [false], "{step}");
    }
}

#[test]
fn a_node_that_talks_is_reachable_whatever_the_state_says() {
    let (state, id) = state(Reach::Unreachable { since: START });
    assert_eq!(reaches(&step(&state, &heard_until(1_000, &id), START)), [true]);
    assert!(reaches(&step(&state, &heard_until(6_000, &id), START)).is_empty());
    let mut greeting = heard_until(1_000, &id);
    greeting.greet(&id, Moment::from_ms(1_000), START);
    assert!(reaches(&step(&state, &greeting, START)).is_empty(), "its registration does that");
}
