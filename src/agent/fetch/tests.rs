//! Names, redirects, files of the node; downloads are tested by `tests/it/agent.rs`.

use std::{fs, os::unix::fs::symlink};

use super::*;

fn artifact(uri: &str) -> Artifact {
    Artifact { uri: uri.into(), extract: true, executable: false, cache: false, dest_path: None }
}

#[test]
fn names_in_the_sandbox() {
    for (uri, name) in [
        ("http://h/a/b.tgz?x=1/2", Some("b.tgz")),
        ("https://h:1/b", Some("b")),
        ("/etc/hosts", Some("hosts")),
        ("file:///etc/hosts", Some("hosts")),
        ("http://h", None),
        ("http://h/", None),
        ("hdfs://n/x", None),
        ("relative", None),
    ] {
        let found = target_name(&artifact(uri)).ok();
        assert_eq!(found, name.map(PathBuf::from), "{uri}");
    }
    let to = |dest: &str| Artifact { dest_path: Some(dest.into()), ..artifact("/x/y") };
    assert_eq!(target_name(&to("lib/z")).unwrap(), PathBuf::from("lib/z"));
    assert!(matches!(target_name(&to("../z")), Err(FetchError::Outside(_))));
    assert!(matches!(target_name(&to("/z")), Err(FetchError::Outside(_))));
}

#[test]
fn redirects_may_be_relative() {
    let at: Uri = "http://h:8/a/b?c".parse().unwrap();
    for (next, result) in [
        ("https://x/y", "https://x/y"),
        ("//x/y", "http://x/y"),
        ("/y", "http://h:8/y"),
        ("y", "http://h:8/a/y"),
    ] {
        assert_eq!(absolute(&at, next), result);
    }
}

#[tokio::test]
async fn a_missing_file_and_a_refused_connection_are_told() {
    let temp = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(temp.path().join("cache"), Tasks::new("t"));
    let dir = temp.path();
    let error =
        fetcher.fetch_all(&[artifact("/no/such")], dir, &Client::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read '/no/such'");
    let error =
        fetcher.fetch_all(&[artifact("http://127.0.0.1:1/x")], dir, &Client::default()).await;
    assert!(matches!(error, Err(FetchError::Web { .. })));
}

#[tokio::test]
async fn files_of_the_node_are_copied_marked_and_cached() {
    let temp = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(temp.path().join("cache"), Tasks::new("t"));
    let source = temp.path().join("tool");
    fs::write(&source, "one").unwrap();
    let sandbox = temp.path().join("sandbox");
    fs::create_dir(&sandbox).unwrap();
    let wanted = Artifact {
        executable: true,
        cache: true,
        dest_path: Some("bin/tool".into()),
        ..artifact(source.to_str().unwrap())
    };
    fetcher.fetch_all(std::slice::from_ref(&wanted), &sandbox, &Client::default()).await.unwrap();
    fs::write(&source, "two").unwrap();
    fetcher.fetch_all(&[wanted], &sandbox, &Client::default()).await.unwrap();
    let there = sandbox.join("bin/tool");
    assert_eq!(fs::read_to_string(&there).unwrap(), "one", "the second came from the cache");
    assert_eq!(fs::metadata(&there).unwrap().permissions().mode() & 0o777, 0o755);
}

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// An archive in `dir` with a link `name` to `target`.
fn link_archive(dir: &Path, file: &str, links: &[(&str, &Path)]) -> String {
    let mut tar = tar::Builder::new(File::create(dir.join(file)).unwrap());
    for (name, target) in links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, name, target).unwrap();
    }
    tar.finish().unwrap();
    dir.join(file).display().to_string()
}

#[tokio::test]
async fn links_of_an_earlier_archive_lead_nowhere() {
    let temp = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(temp.path().join("cache"), Tasks::new("t"));
    let host = temp.path().join("host");
    let sandbox = temp.path().join("sandbox");
    for dir in [&host, &sandbox] {
        fs::create_dir(dir).unwrap();
    }
    fs::write(host.join("conf.json"), "the node's").unwrap();
    fs::set_permissions(host.join("conf.json"), Permissions::from_mode(0o600)).unwrap();
    fs::write(temp.path().join("conf.json"), "fetched").unwrap();
    let links = [("conf.json", &*host.join("conf.json")), ("sub", &*host)];
    let archive = link_archive(temp.path(), "links.tar", &links);
    let fetched = temp.path().join("conf.json").display().to_string();
    let owner = is_root().then_some((65_534, 65_534));
    let client = Client { owner, ..Client::default() };
    for cache in [false, true] {
        for executable in [false, true] {
            let later = Artifact { cache, executable, ..artifact(&fetched) };
            let all = [artifact(&archive), later.clone()];
            fetcher.fetch_all(&all, &sandbox, &client).await.unwrap();
            assert_eq!(fs::read_to_string(sandbox.join("conf.json")).unwrap(), "fetched");
            let through = Artifact { dest_path: Some("sub/x".into()), ..later };
            let error = fetcher.fetch_all(&[through], &sandbox, &client).await.unwrap_err();
            let text = crate::base::error::chain(&error);
            assert!(text.contains("'sub' is or leads through a link"), "{text}");
        }
    }
    let node = fs::metadata(host.join("conf.json")).unwrap();
    assert_eq!(fs::read_to_string(host.join("conf.json")).unwrap(), "the node's");
    assert_eq!(node.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&host).unwrap().count(), 1, "nothing was made beside it");
    assert!(!is_root() || std::os::unix::fs::MetadataExt::uid(&node) == 0, "nor given away");
}

#[tokio::test]
async fn an_archive_cannot_unpack_through_the_links_of_another() {
    let temp = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(temp.path().join("cache"), Tasks::new("t"));
    let host = temp.path().join("host");
    let sandbox = temp.path().join("sandbox");
    for dir in [&host, &sandbox] {
        fs::create_dir(dir).unwrap();
    }
    let first = link_archive(temp.path(), "first.tar", &[("sub", &host)]);
    let second = link_archive(temp.path(), "second.tar", &[("sub/evil", Path::new("x"))]);
    let all = [artifact(&first), artifact(&second)];
    let error = fetcher.fetch_all(&all, &sandbox, &Client::default()).await.unwrap_err();
    assert!(crate::base::error::chain(&error).contains("link"), "{error}");
    assert_eq!(fs::read_dir(&host).unwrap().count(), 0);
}

#[tokio::test]
async fn files_of_the_node_are_read_as_the_task_s_user() {
    let temp = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(temp.path().join("cache"), Tasks::new("t"));
    fs::set_permissions(temp.path(), Permissions::from_mode(0o755)).unwrap();
    let secret = temp.path().join("secret");
    fs::write(&secret, "root's").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let sandbox = temp.path().join("sandbox");
    fs::create_dir(&sandbox).unwrap();
    let nobody = Account { name: "nobody".into(), uid: 65_534, gid: 65_534, groups: vec![] };
    let as_user = Client { reader: Some(nobody), who: "nobody".into(), owner: None };
    for cache in [false, true] {
        let wanted = Artifact { cache, ..artifact(secret.to_str().unwrap()) };
        // What root has put into the cache is root's.
        fetcher
            .fetch_all(std::slice::from_ref(&wanted), &sandbox, &Client::default())
            .await
            .unwrap();
        if is_root() {
            let error = fetcher.fetch_all(&[wanted], &sandbox, &as_user).await.unwrap_err();
            let text = crate::base::error::chain(&error);
            assert!(text.contains("as user 'nobody': ") && text.contains("denied"), "{text}");
        }
    }
    symlink("/dev/zero", temp.path().join("zero")).unwrap();
    for path in ["/dev/zero", "/dev/stdin", temp.path().join("zero").to_str().unwrap()] {
        assert!(fetcher.fetch_all(&[artifact(path)], &sandbox, &as_user).await.is_err(), "{path}");
    }
}
