//! What is taken out of a sandbox, and what an archive may have put there.

use std::os::unix::fs::symlink;

use super::*;
use crate::model::container::Volume;

fn with_volumes(paths: &[&str]) -> ContainerSpec {
    let volume = |path: &&str| Volume {
        source: VolumeSource::Host((*path).to_owned()),
        container_path: format!("/in/{path}"),
        read_only: false,
    };
    ContainerSpec { volumes: paths.iter().map(volume).collect(), ..ContainerSpec::default() }
}

#[test]
fn credentials_are_a_file_of_the_sandbox_and_bounded() {
    let login = r#"{"auths":{"r.example":{"auth":"dTpw"}}}"#;
    let temp = tempfile::tempdir().unwrap();
    let node = temp.path().join("node.json");
    std::fs::write(&node, login).unwrap();
    let none = RegistryLogins::default();
    for (n, plant) in [
        Box::new(|dir: &Path| symlink("/dev/zero", dir.join(".docker/config.json")))
            as Box<dyn Fn(&Path) -> _>,
        Box::new(|dir: &Path| symlink(&node, dir.join(".docker/config.json"))),
        Box::new(|dir: &Path| {
            std::fs::write(
                dir.join(".docker/config.json"),
                format!("{login}{}", " ".repeat(1 << 20)),
            )
        }),
    ]
    .iter()
    .enumerate()
    {
        let sandbox = temp.path().join(n.to_string());
        std::fs::create_dir_all(sandbox.join(".docker")).unwrap();
        plant(&sandbox).unwrap();
        assert_eq!(format!("{:?}", logins(&sandbox)), format!("{none:?}"), "{n}");
    }
    let sandbox = temp.path().join("plain");
    std::fs::create_dir(&sandbox).unwrap();
    std::fs::write(sandbox.join(".dockercfg"), r#"{"r.example":{"auth":"dTpw"}}"#).unwrap();
    assert_ne!(format!("{:?}", logins(&sandbox)), format!("{none:?}"));
}

#[test]
fn a_relative_volume_may_be_a_fetched_file_but_not_a_link() {
    let temp = tempfile::tempdir().unwrap();
    let sandbox = temp.path().join("sandbox");
    let host = temp.path().join("host");
    for dir in [&sandbox, &host] {
        std::fs::create_dir(dir).unwrap();
    }
    std::fs::write(sandbox.join("app.conf"), "fetched").unwrap();
    volume_dirs(&sandbox, &with_volumes(&["app.conf", "data/deep"]), None).unwrap();
    assert_eq!(std::fs::read(sandbox.join("app.conf")).unwrap(), b"fetched");
    assert!(sandbox.join("data/deep").is_dir());
    symlink(&host, sandbox.join("up")).unwrap();
    symlink(host.join("file"), sandbox.join("link")).unwrap();
    for path in ["up", "up/sub", "link", "app.conf/sub"] {
        assert!(volume_dirs(&sandbox, &with_volumes(&[path]), None).is_err(), "{path}");
    }
    assert_eq!(std::fs::read_dir(&host).unwrap().count(), 0);
}
