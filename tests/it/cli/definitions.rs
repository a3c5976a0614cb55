//! Files of definitions: misspelt keys, groups, files of other systems, leftovers of editors.

use expect_test::expect;

use super::Site;

impl Site {
    async fn deploy(&self, text: &str) -> String {
        self.run_with("app deploy -", text, |_| {}).await
    }
}

#[tokio::test]
async fn misspelt_keys_are_refused_with_line_and_meaning() {
    let site = Site::new();
    let text = "\
id: /web
cmd: ./serve
cpu: 0.5
memory: 64
container:
  docker:
    imgae: web
  volume: []
";
    expect![[r#"
        ! error: standard input has keys that mean nothing
        !   standard input:3  cpu is no key of an app; did you mean cpus?
        !   standard input:4  memory is no key of an app; did you mean mem?
        !   standard input:7  imgae is no key of an app; did you mean image?
        !   standard input:8  volume is no key of an app; did you mean volumes?
        ! hint: correct the file, or send it as it is with --allow-unknown
        exit 2
    "#]]
    .assert_eq(&site.deploy(text).await);
    let json = "{\n  \"id\": \"/web\",\n  \"cmd\": \"./x\",\n  \"replicas\": 3\n}";
    expect![[r#"
        ! error: standard input has a key that means nothing
        !   standard input:4  replicas is no key of an app; did you mean instances?
        ! hint: correct the file, or send it as it is with --allow-unknown
        exit 2
    "#]]
    .assert_eq(&site.deploy(json).await);
    assert!(site.world.state().apps.is_empty(), "nothing was sent");
    let sent =
        site.run_with("app deploy - --allow-unknown", "id: /web\ncmd: ./x\ncpu: 1\n", |_| {});
    assert!(sent.await.ends_with("done\nexit 0\n"));
}

#[tokio::test]
async fn a_group_is_deployed_as_its_apps() {
    let site = Site::new();
    site.world.app("/prod/old", 1, |_| {});
    let group = "\
id: /prod
apps:
- id: web
  cmd: ./serve
  cpus: 0.1
  mem: 16
groups:
- id: data
  apps:
  - {id: db, cmd: ./db, cpus: 0.1, mem: 16}
";
    let done = site.deploy(group).await;
    assert!(done.ends_with("! done\nexit 0\n"), "{done}");
    let listed = site.run("app list").await;
    for id in ["/prod/data/db", "/prod/web", "/prod/old"] {
        assert!(listed.contains(&format!("\n{id} ")), "{listed}");
    }
    let wrong =
        group.replace("cpus: 0.1\n", "cpus: lots\n").replace("{id: db,", "{id: db, cpu: 1,");
    expect![[r#"
        ! error: standard input has a key that means nothing
        !   standard input:10  cpu is no key of an app
        ! hint: correct the file, or send it as it is with --allow-unknown
        exit 2
    "#]]
    .assert_eq(&site.deploy(&wrong).await);
    let wrong = group.replace("cpus: 0.1\n", "cpus: lots\n");
    expect![[r#"
        ! error: the definition is refused
        !   standard input:5:9  /cpus: must be a number
        exit 2
    "#]]
    .assert_eq(&site.deploy(&wrong).await);
}

#[tokio::test]
async fn files_of_other_systems_lead_on() {
    let site = Site::new();
    let compose = "\
version: '3'
services:
  web:
    image: nginx:1.27
    ports: ['8080:80']
    environment:
      MODE: fast
";
    expect![[r#"
        ! error: standard input:1:1: this is a Compose file; tepui takes app definitions
        !   its service web, for example, as an app:
        !     id: /web
        !     cpus: 0.5
        !     mem: 256
        !     env:
        !       MODE: fast
        !     networks:
        !     - mode: container/bridge
        !     container:
        !       type: DOCKER
        !       docker:
        !         image: nginx:1.27
        !       portMappings:
        !       - containerPort: 80
        !         hostPort: 0
        !         protocol: tcp
        ! hint: write each service as an app, several to a file with ---
        exit 2
    "#]]
    .assert_eq(&site.deploy(compose).await);
    expect![[r#"
        ! error: standard input:1:1: this is a pod, not an app
        ! hint: pods are deployed by: tepui pod deploy FILE
        exit 2
    "#]]
    .assert_eq(&site.deploy("id: /p\ncontainers:\n- name: a\n").await);
    expect![[r#"
        ! error: the definition is refused
        !   standard input:3:10  /secrets: secrets are not part of tepui yet; leave them out of the definition
        exit 2
    "#]].assert_eq(&site.deploy("id: /a\ncmd: ./x\nsecrets: {s: {source: x}}\n").await);
}

#[tokio::test]
async fn leftovers_of_editors_break_nothing() {
    let site = Site::new();
    for text in [
        "\u{feff}id: /a\ncmd: ./x\ncpus: 0.1\nmem: 16\n",
        "id: /a\r\ncmd: ./x\r\ncpus: 0.1\r\nmem: 16\r\n",
        "---\nid: /a\ncmd: ./x\ncpus: 0.1\nmem: 16\n---\n",
        "---\nid: /a\ncmd: ./x\ncpus: 0.1\nmem: 16\n...\n",
        "id: /a\ncmd:\t./x\ncpus: 0.1\nmem: 16\n\n\t\n",
        "\u{feff}{\"id\": \"/a\", \"cmd\": \"./x\", \"cpus\": 0.1, \"mem\": 16}\r\n",
    ] {
        let done = site.deploy(text).await;
        assert!(done.ends_with("! done\nexit 0\n"), "{text:?}: {done}");
    }
    let wide: Vec<u8> =
        "\u{feff}id: /b\ncmd: ./x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(site.home.path().join("wide.yaml"), wide).unwrap();
    let done = site.run("app deploy wide.yaml").await;
    assert!(done.ends_with("! done\nexit 0\n"), "{done}");
    expect![[r#"
        ! error: standard input:3:1: a tab stands in the indentation
        ! hint: YAML is indented with blanks; replace each tab by two
        exit 2
    "#]]
    .assert_eq(&site.deploy("id: /a\ncontainer:\n\tdocker:\n\t\timage: x\n").await);
    expect![[r#"
        ! error: standard input:3:1: trailing comma at line 3 column 1
        ! hint: take the comma before the closing bracket away
        exit 2
    "#]]
    .assert_eq(&site.deploy("{\"id\": \"/a\",\n \"cmd\": \"./x\",\n}").await);
    // The mark in front must not move the place that is told.
    expect![[r#"
        ! error: the definition is refused
        !   standard input:3:7  /cpus: must be a number
        exit 2
    "#]]
    .assert_eq(&site.deploy("\u{feff}id: /a\r\ncmd: ./x\r\ncpus: lots\r\n").await);
}
