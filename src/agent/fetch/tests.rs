//! Names, redirects, files of the node; downloads are tested by `tests/it/agent.rs`.

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
    let error = fetcher.fetch_all(&[artifact("/no/such")], dir, None, "").await.unwrap_err();
    assert_eq!(error.to_string(), "cannot store '/no/such'");
    let error = fetcher.fetch_all(&[artifact("http://127.0.0.1:1/x")], dir, None, "").await;
    assert!(matches!(error, Err(FetchError::Web { .. })));
}

#[tokio::test]
async fn files_of_the_node_are_copied_marked_and_cached() {
    let temp = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(temp.path().join("cache"), Tasks::new("t"));
    let source = temp.path().join("tool");
    fs::write(&source, "one").unwrap();
    let sandbox = temp.path().join("sandbox");
    let wanted = Artifact {
        executable: true,
        cache: true,
        dest_path: Some("bin/tool".into()),
        ..artifact(source.to_str().unwrap())
    };
    fetcher.fetch_all(std::slice::from_ref(&wanted), &sandbox, None, "root").await.unwrap();
    fs::write(&source, "two").unwrap();
    fetcher.fetch_all(&[wanted], &sandbox, None, "root").await.unwrap();
    let there = sandbox.join("bin/tool");
    assert_eq!(fs::read_to_string(&there).unwrap(), "one", "the second came from the cache");
    assert_eq!(fs::metadata(&there).unwrap().permissions().mode() & 0o777, 0o755);
}
