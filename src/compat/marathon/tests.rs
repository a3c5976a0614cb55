//! Ways there and back, over made-up definitions: what a client reads it can send again.

mod sample;

use serde_json::{Value, json};

use super::{json as edge, prepare::World, settings::Settings, spec::App};
use crate::{
    base::rng::Rng,
    core::{State, apply::tests::world},
    model::path::PathId,
};

const N_CASES: u64 = 400;

/// A definition as an answer shows it, without what only the server says.
fn shown(app: &App) -> Value {
    serde_json::to_value(App { version: None, version_info: None, ..app.clone() }).unwrap()
}

#[test]
fn what_is_answered_is_taken_and_means_the_same() {
    let (state, settings) = (State::default(), Settings::default());
    let world = World::new(&state, &settings, false);
    let id = PathId::parse("/g/a");
    for seed in 0..N_CASES {
        let (sent, app) = sample::app("/g/a", &mut Rng::from_seed(seed));
        let first = world.whole(&id, app).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        let answer = shown(&first.app);
        let again = world.whole(&id, edge::read(&answer).unwrap());
        let again = again.unwrap_or_else(|error| panic!("seed {seed}, {answer}: {error:?}"));
        assert!(first.spec == again.spec, "seed {seed}: {sent}\n{answer}\n{}", shown(&again.app));
        assert_eq!(shown(&again.app), answer, "seed {seed}: {sent}");
    }
}

#[test]
fn an_update_without_news_replaces_nothing() {
    let settings = Settings::default();
    let id = PathId::parse("/g/a");
    for seed in 0..N_CASES / 4 {
        let (sent, app) = sample::app("/g/a", &mut Rng::from_seed(seed));
        let mut w = world::World::new(0);
        let spec = World::new(&w.state, &settings, false).whole(&id, app).unwrap().spec;
        w.put(spec);
        let now = w.state.spec(&id).unwrap();
        let world = World::new(&w.state, &settings, false);
        let get = shown(&super::convert::app(now));
        let scaled = json!({"instances": now.instances});
        for (what, update) in [("nothing", json!({})), ("the answer", get), ("a number", scaled)] {
            let updated = world.update(&id, edge::read(&update).unwrap());
            let updated = updated.unwrap_or_else(|e| panic!("seed {seed}, {what}: {e:?}")).spec;
            assert!(!now.config_differs(&updated), "seed {seed}, {what}: {sent}");
            assert_eq!(now.instances, updated.instances, "seed {seed}, {what}");
        }
    }
}
