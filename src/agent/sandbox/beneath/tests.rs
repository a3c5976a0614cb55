//! Links planted in every place the agent touches, and a name that changes while it is used.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::*;

/// A sandbox beside a directory and a file that are not the task's.
fn place() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("sandbox")).unwrap();
    fs::create_dir(temp.path().join("host")).unwrap();
    fs::write(temp.path().join("host/file"), "the node's").unwrap();
    let dir = Dir::open(&temp.path().join("sandbox")).unwrap();
    (temp, dir)
}

fn untouched(temp: &tempfile::TempDir) {
    let host = temp.path().join("host");
    assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "the node's");
    assert_eq!(fs::read_dir(&host).unwrap().count(), 1);
    let meta = fs::metadata(host.join("file")).unwrap();
    assert_eq!((meta.uid(), meta.nlink()), (nix::unistd::getuid().as_raw(), 1));
}

#[test]
fn a_link_in_the_place_of_a_file_is_replaced_or_refused() {
    let (temp, dir) = place();
    let (sandbox, file) = (temp.path().join("sandbox"), temp.path().join("host/file"));
    for name in ["made", "linked", "hard", "read", "append", "given"] {
        symlink(&file, sandbox.join(name)).unwrap();
    }
    let p = Path::new;
    io::Write::write_all(&mut dir.create(p("made"), 0o644, None).unwrap(), b"ours").unwrap();
    assert_eq!(fs::read(sandbox.join("made")).unwrap(), b"ours");
    dir.symlink(p("../host/file"), p("linked"), None).unwrap();
    dir.hard_link(&dir, p("made"), p("hard")).unwrap();
    assert_eq!(fs::read(sandbox.join("hard")).unwrap(), b"ours");
    assert!(dir.hard_link(&dir, p("read"), p("x")).is_err(), "the link itself is no file");
    assert_eq!(dir.file(p("read")).unwrap_err().to_string(), "'read' is or leads through a link");
    assert!(dir.append(p("append"), 0o644, None).is_err());
    assert!(dir.read(p("read"), 99).is_err());
    assert!(dir.stat(p("read")).unwrap().is_symlink());
    untouched(&temp);
}

#[test]
fn a_link_on_the_way_is_never_taken() {
    let (temp, dir) = place();
    let sandbox = temp.path().join("sandbox");
    symlink(temp.path().join("host"), sandbox.join("up")).unwrap();
    fs::write(sandbox.join("own"), "x").unwrap();
    let p = Path::new;
    for path in ["up/new", "../host/new", "/etc/new"] {
        assert!(dir.create(p(path), 0o644, None).is_err(), "{path}");
        assert!(dir.symlink(p("x"), p(path), None).is_err(), "{path}");
        assert!(dir.hard_link(&dir, p("own"), p(path)).is_err(), "{path}");
        assert!(dir.make_dirs(p(path), 0o755, None).is_err(), "{path}");
        assert!(dir.append(p(path), 0o644, None).is_err(), "{path}");
    }
    for path in ["up/file", "../host/file"] {
        assert!(dir.remove(p(path)).is_err(), "{path}");
        assert!(dir.file(p(path)).is_err(), "{path}");
        assert!(dir.hard_link(&dir, p(path), p("stolen")).is_err(), "{path}");
    }
    assert!(dir.dir(p("up")).is_err());
    untouched(&temp);
}

#[test]
fn giving_everything_away_gives_links_and_not_their_targets() {
    let (temp, dir) = place();
    let sandbox = temp.path().join("sandbox");
    fs::create_dir_all(sandbox.join("a/b")).unwrap();
    fs::write(sandbox.join("a/b/c"), "x").unwrap();
    symlink(temp.path().join("host"), sandbox.join("a/up")).unwrap();
    symlink(temp.path().join("host/file"), sandbox.join("file")).unwrap();
    let me = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let owner = if me.0 == 0 { (65_534, 65_534) } else { me };
    dir.own_all(owner).unwrap();
    for path in ["", "a", "a/b", "a/b/c", "a/up", "file"] {
        let meta = sandbox.join(path).symlink_metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), owner, "{path}");
    }
    untouched(&temp);
}

#[test]
fn pipes_directories_and_endless_files_are_no_content() {
    let (temp, dir) = place();
    let sandbox = temp.path().join("sandbox");
    nix::unistd::mkfifo(&sandbox.join("pipe"), Mode::S_IRWXU).unwrap();
    fs::create_dir(sandbox.join("dir")).unwrap();
    symlink("/dev/zero", sandbox.join("zero")).unwrap();
    fs::write(sandbox.join("long"), [0; 100]).unwrap();
    for name in ["pipe", "dir", "zero", "long", "none"] {
        assert!(dir.read(Path::new(name), 99).is_err(), "{name}");
    }
    assert_eq!(dir.read(Path::new("long"), 100).unwrap().len(), 100);
}

#[test]
fn the_view_is_a_root_of_its_own() {
    let (temp, dir) = place();
    let sandbox = temp.path().join("sandbox");
    fs::write(sandbox.join("file"), "mine").unwrap();
    symlink("/file", sandbox.join("absolute")).unwrap();
    symlink("../host/file", sandbox.join("up")).unwrap();
    symlink("/proc/self/cwd", sandbox.join("magic")).unwrap();
    let text = |name: &str| {
        let mut text = String::new();
        dir.view(Path::new(name))?.read_to_string(&mut text).map(|_| text)
    };
    assert_eq!(text("absolute").unwrap(), "mine");
    assert!(text("up").is_err() && text("magic/Cargo.toml").is_err());
}

#[test]
fn a_name_that_turns_into_a_link_and_back_does_no_harm() {
    let (temp, dir) = place();
    let sandbox = temp.path().join("sandbox");
    let over = Arc::new(AtomicBool::new(false));
    let racer = std::thread::spawn({
        let (over, host) = (over.clone(), temp.path().join("host"));
        move || {
            while !over.load(Ordering::Relaxed) {
                for (name, target) in [("d", host.clone()), ("f", host.join("file"))] {
                    drop(symlink(&target, sandbox.join("t")));
                    drop(fs::rename(sandbox.join("t"), sandbox.join(name)));
                    drop(fs::remove_file(sandbox.join(name)));
                    drop(fs::create_dir(sandbox.join("d")));
                    drop(fs::remove_dir(sandbox.join("d")));
                }
            }
        }
    });
    let me = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let owner = if me.0 == 0 { Some((65_534, 65_534)) } else { None };
    // What comes of each call does not matter, only where it goes.
    for _ in 0..3_000 {
        if let Ok(mut file) = dir.create(Path::new("f"), 0o666, owner) {
            drop(io::Write::write_all(&mut file, b"task's"));
        }
        drop(dir.make_dirs(Path::new("d/e"), 0o777, owner));
        drop(dir.create(Path::new("d/x"), 0o666, owner));
        drop(dir.own_all(owner.unwrap_or(me)));
    }
    over.store(true, Ordering::Relaxed);
    racer.join().unwrap();
    untouched(&temp);
}
