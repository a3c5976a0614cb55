//! Which cluster a command speaks to, and what it sends there.

use super::Site;

#[tokio::test]
async fn a_file_of_the_working_directory_gets_nothing_that_was_given_for_elsewhere() {
    let site = Site::new();
    let folder = site.home.path().join("tepui-dev");
    std::fs::create_dir(&folder).unwrap();
    let write = |url: &str| {
        let text = format!("TEPUI_URL={url}\nTEPUI_TOKEN=own\n");
        std::fs::write(folder.join("client.env"), text).unwrap();
    };
    let none = "error: no cluster is known";
    let status = async |token: Option<&str>| {
        let run = site.run_with("status", "", |env| {
            env.remove("TEPUI_URL");
            if let Some(token) = token {
                env.insert("TEPUI_TOKEN".into(), token.into());
            }
        });
        run.await
    };
    // A `tepui dev` of this machine, with its own token.
    write(&site.url());
    assert!(!status(None).await.contains(none));
    // A token for somewhere else stays here, and so does a password.
    assert!(status(Some("for-elsewhere")).await.contains(none));
    let login = site.run_with("login --password-stdin", "secret\n", |env| {
        env.remove("TEPUI_URL");
    });
    assert!(login.await.contains(none));
    // What came with somebody's files names no other machine.
    write("http://192.0.2.1:8000");
    assert!(status(None).await.contains(none));
    write("http://127.0.0.1.example:8000");
    assert!(status(None).await.contains(none));
}
