//! What single stories need beside `contract::everything`.

use std::{collections::BTreeMap, time::Duration};

use tepui::{
    base::clock::Clock as _,
    control::series::{Measure, Subject, store::Sample},
    model::{
        AppId,
        container::{Volume, VolumeSource},
        link::{Usage, VolumeUsage},
    },
};

use crate::world::{World, persistent_volume};

/// An app with a volume of each kind.
pub fn keeps(world: &World) {
    let mounted =
        |path: &str, source| Volume { container_path: path.into(), read_only: true, source };
    let (name, provider) = ("films".to_owned(), "dvdi".to_owned());
    let (options, size_gib, shared) = (BTreeMap::new(), Some(2), false);
    let external = VolumeSource::External { name, provider, options, size_gib, shared };
    world.app("/db", 1, |s| {
        s.run_mut().containers[0].volumes = vec![
            persistent_volume("pgdata", 512),
            mounted("/etc/ssl", VolumeSource::Host("/srv/ssl".into())),
            mounted("/films", external),
            // Neither is anything that outlives its instance.
            mounted("/tmp/scratch", VolumeSource::Host("scratch".into())),
            mounted("/run/key", VolumeSource::Secret("key".into())),
        ];
    });
    let instance = world.first("/db");
    let of = VolumeUsage { instance: instance.id.clone(), path: "pgdata".into(), bytes: 64 << 20 };
    let usage = Usage { volumes: vec![of], ..Usage::default() };
    let node = instance.placement().expect("it runs").node.clone();
    world.usage.lock().insert(node, usage.into());
}

/// Most of a day in which a service used little of what it reserves.
pub fn a_day(world: &World) {
    let subject = Subject::Service(AppId::parse("/web"));
    let now = world.clock.now();
    let values = vec![
        (Measure::CpusUsed, Measure::CpusUsed.whole(0.1)),
        (Measure::MemUsed, Measure::MemUsed.whole(20.0)),
        (Measure::Running, 2),
    ];
    let sample = Sample { subject, values };
    for minute in (0..800).rev() {
        world.recorded.add(now - Duration::from_secs(60 * minute), std::slice::from_ref(&sample));
    }
}
