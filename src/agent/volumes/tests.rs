//! Who is let in to a volume, and what is left of one that was wiped.

use super::*;
use crate::{
    agent::desired::tests::order,
    base::wire::sample::{hold, shape},
    model::link::Mounted,
};

fn launch(instance: &str, epoch: u32) -> Order {
    let id = VolumeId::from(format!("a#data#{instance}"));
    let volumes = vec![Mounted { id, path: "data".to_owned(), epoch }];
    Order { volumes, ..order(instance, epoch) }
}

fn sandboxes() -> (tempfile::TempDir, Sandboxes) {
    let temp = tempfile::tempdir().unwrap();
    let sandboxes = Sandboxes::new(temp.path());
    (temp, sandboxes)
}

#[test]
fn what_is_written_of_an_owner_stays_readable() {
    hold("owner", &[shape::<Owner>()]);
}

#[test]
fn an_older_launch_than_the_latest_is_refused() {
    let (temp, sandboxes) = sandboxes();
    for epoch in [1, 2, 2, 5] {
        claim(&sandboxes, &launch("i", epoch)).unwrap();
    }
    let refused = claim(&sandboxes, &launch("i", 4)).unwrap_err();
    assert!(matches!(refused, Refused::Stale { ordered: 4, seen: 5 }), "{refused}");
    // Known again by another process; others have theirs, and who has none is asked for nothing.
    let again = Sandboxes::new(temp.path());
    assert!(claim(&again, &launch("i", 1)).is_err());
    claim(&again, &launch("other", 1)).unwrap();
    claim(&again, &order("i", 1)).unwrap();
    fs::write(temp.path().join("volumes/i.owner"), [9, 1]).unwrap();
    let refused = claim(&again, &launch("i", 6)).unwrap_err();
    assert!(refused.to_string().contains("version 9"), "{refused}");
}

#[test]
fn wiping_takes_one_instance_and_follows_no_link() {
    let (temp, sandboxes) = sandboxes();
    let outside = temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "x").unwrap();
    for instance in ["i", "j"] {
        claim(&sandboxes, &launch(instance, 1)).unwrap();
        sandboxes.create_volume(&(InstanceId::from(instance), 1), "data", None).unwrap();
    }
    let data = temp.path().join("volumes/i/data");
    std::os::unix::fs::symlink(&outside, data.join("link")).unwrap();
    fs::write(data.join("file"), "x").unwrap();
    wipe(&sandboxes, &InstanceId::from("i")).unwrap();
    wipe(&sandboxes, &InstanceId::from("i")).unwrap();
    let mut left: Vec<_> = fs::read_dir(temp.path().join("volumes")).unwrap().flatten().collect();
    left.sort_by_key(|entry| entry.file_name());
    let left: Vec<_> = left.iter().map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(left, ["j", "j.owner"]);
    assert!(outside.join("kept").exists());
    for bad in ["", "..", "a/b", ".x"] {
        assert!(wipe(&sandboxes, &InstanceId::from(bad)).is_err(), "{bad}");
    }
}

#[test]
fn the_use_of_each_volume_is_measured() {
    let (temp, sandboxes) = sandboxes();
    let key = (InstanceId::from("i"), 1);
    for path in ["data", "a/b%c"] {
        sandboxes.create_volume(&key, path, None).unwrap();
    }
    let data = temp.path().join("volumes/i/data");
    fs::create_dir(data.join("below")).unwrap();
    fs::write(data.join("below/file"), vec![1; 100_000]).unwrap();
    let mut measured = measure(&sandboxes, &key.0);
    measured.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = measured.iter().map(|usage| usage.path.as_str()).collect();
    assert_eq!(paths, ["a/b%c", "data"]);
    assert!(measured[0].bytes < 50_000, "{measured:?}");
    assert!((100_000..200_000).contains(&measured[1].bytes), "{measured:?}");
}
