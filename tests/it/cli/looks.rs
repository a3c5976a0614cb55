//! What there is, as people read it: lists, one thing in words, why something does not run.

use expect_test::expect;
use tepui::model::workload;

use super::Site;
use crate::world::cpus;

#[tokio::test]
async fn lists_are_plain_tables() {
    let site = Site::new();
    site.check(
        "app list",
        expect![[r#"
        ID  STATUS  RUNNING  HEALTHY  CPUS  MEM  CHANGED  RUNS
        exit 0
    "#]],
    )
    .await;
    site.world.app("/prod/web", 2, |_| {});
    site.world.app("/big", 1, |s| s.run_mut().containers[0].resources.cpus = cpus(4));
    site.check("app list", expect![[r#"
        ID         STATUS   RUNNING  HEALTHY  CPUS  MEM     CHANGED  RUNS
        /big       waiting  0/1      -        4     64 MiB  0s       web:1
        /prod/web  running  2/2      -        0.5   64 MiB  0s       web:1
        ! /big: 1 instance waits: none of 2 nodes fits: 2 have too few cpus free (needs 4 cpus; most free 3.5 on a1)
        exit 0
    "#]]).await;
    site.check(
        "app list prod",
        expect![[r#"
        ID         STATUS   RUNNING  HEALTHY  CPUS  MEM     CHANGED  RUNS
        /prod/web  running  2/2      -        0.5   64 MiB  0s       web:1
        exit 0
    "#]],
    )
    .await;
    site.check("node list", expect![[r#"
        HOST  STATUS  ROLE   TASKS  CPUS      MEM              RELEASE  LEVEL  ID
        a1    active  agent  1      0.5 of 4  64 MiB of 4 GiB  0.1.0    6      c0ffee00-0000-4000-8000-000000000000-S1
        a2    active  agent  1      0.5 of 2  64 MiB of 2 GiB  0.1.0    6      c0ffee00-0000-4000-8000-000000000000-S2
        exit 0
    "#]]).await;
    site.check(
        "deployment list",
        expect![[r#"
            ID                                    STEP  AGE  BY  APPS  NOW
            ad632be8-5627-4f8b-aa7a-29e2e0af77c4  2/2   0s   -   /big  scale /big 0/1
            exit 0
        "#]],
    )
    .await;
    site.check("task list --app /prod/web", expect![[r#"
        TASK                                                           APP        STATUS   HEALTH  NODE  PORTS  AGE  RESTARTS
        prod_web.instance-4dbd006c-980d-430e-aaba-f70654729388._app.1  /prod/web  running  -       a1    31473  0s   0
        prod_web.instance-8fc2cb75-87bc-48af-b6d0-ce0e56128fb2._app.1  /prod/web  running  -       a2    31719  0s   0
        exit 0
    "#]]).await;
    site.check(
        "status",
        expect![[r#"
            test  at URL
            state      waiting: /big has no place to run
            leader     10.0.0.9:80, version 0.1.0
            nodes      2 of 2 take work
            apps       2, 1 needs attention
            tasks      2 running, 1 on their way
            health     0 healthy, 0 unhealthy
            changes    1 under way
            cpus       1 of 6 held
            memory     128 MiB of 6 GiB held

            /big  waiting: 1 instance waits: none of 2 nodes fits: 2 have too few cpus free (needs 4 cpus; most free 3.5 on a1) (0 s)
            next       to place one more, lower cpus from 4 to 3.5; tepui why /big --nodes tells of every node
            exit 0
        "#]],
    )
    .await;
}

#[tokio::test]
async fn one_thing_is_shown_in_words() {
    let site = Site::new();
    site.world.app("/prod/web", 1, |_| {});
    site.check("app show prod/web", expect![[r#"
        /prod/web  running: its one instance runs (0 s)
        instances  1 of 1 running
        each       0.5 cpus, 64 MiB
        image      web:1
        command    ./serve
        name       web-prod.marathon.mesos

        TASK                                                           STATUS   HEALTH  NODE  PORTS  AGE  RESTARTS
        prod_web.instance-4dbd006c-980d-430e-aaba-f70654729388._app.1  running  -       a1    31473  0s   0
        exit 0
    "#]]).await;
    site.check(
        "app show /prod/web --definition",
        expect![[r#"
            {
              "id": "/prod/web",
              "backoffFactor": 1.15,
              "backoffSeconds": 1,
              "cmd": "./serve",
              "cpus": 0.5,
              "disk": 0,
              "executor": "",
              "instances": 1,
              "labels": {
                "tier": "front"
              },
              "maxLaunchDelaySeconds": 300,
              "mem": 64,
              "gpus": 0,
              "networks": [
                {
                  "mode": "host"
                }
              ],
              "portDefinitions": [
                {
                  "name": "http",
                  "port": 10000,
                  "protocol": "tcp"
                }
              ],
              "requirePorts": false,
              "upgradeStrategy": {
                "maximumOverCapacity": 1,
                "minimumHealthCapacity": 1
              },
              "killSelection": "YOUNGEST_FIRST",
              "unreachableStrategy": {
                "inactiveAfterSeconds": 0,
                "expungeAfterSeconds": 0
              },
              "role": "*"
            }
            exit 0
        "#]],
    )
    .await;
    site.check(
        &format!("task show {}", site.world.task_id("/prod/web")),
        expect![[r#"
            prod_web.instance-4dbd006c-980d-430e-aaba-f70654729388._app.1  running: is up (0 s)
            app        /prod/web
            node       a1
            address    10.0.0.1
            ports      31473
            holds      0.5 cpus, 64 MiB
            exit 0
        "#]],
    )
    .await;
    site.check("node show a1", expect![[r#"
        a1  active: takes work
        id         c0ffee00-0000-4000-8000-000000000000-S1
        address    10.0.0.1
        cpus       0.5 of 4 held
        memory     64 MiB of 4 GiB held
        ports      31000-31999
        attribute  rack=r1

        TASK                                                           APP        STATUS   HEALTH  NODE  PORTS  AGE  RESTARTS
        prod_web.instance-4dbd006c-980d-430e-aaba-f70654729388._app.1  /prod/web  running  -       a1    31473  0s   0
        exit 0
    "#]]).await;
}

#[tokio::test]
async fn why_names_the_checks_the_closest_node_and_the_smallest_change() {
    let site = Site::new();
    site.world.app("/web", 1, |_| {});
    site.check(
        "why /web",
        expect![[r#"
            /web  satisfied: its one instance runs (0 s)
            exit 0
        "#]],
    )
    .await;
    site.world.app("/big", 1, |s| {
        s.run_mut().containers[0].resources.cpus = cpus(4);
        s.constraints = vec![workload::Constraint {
            field: "rack".into(),
            operator: workload::Operator::Like,
            value: Some("r1".into()),
        }];
    });
    site.check("why /big --nodes", expect![[r#"
        /big  waiting: 1 instance waits: none of 2 nodes fits: 1 does not meet a constraint (rack LIKE r1), 1 has too few cpus free (needs 4 cpus; most free 3.5 on a1) (0 s)
        tried      0s ago, for 4 cpus, 64 MiB, 1 ports

        CHECK       NODES  REMOVED  LEFT  BECAUSE
        constraint  2      1        1     rack LIKE r1
        cpus        1      1        0     needs 4 cpus; most free 3.5 on a1
        (all)       2      -        0     -

        CONSTRAINT    REMOVED  ONLY THIS ONE
        rack LIKE r1  1        0

        closest node      a1: needs 4 cpus, has 3.5 free
        smallest change   lower cpus from 4 to 3.5

        NODE  FREE CPUS  FREE MEM  STANDS IN THE WAY
        a1    3.5        3.9 GiB   needs 4 cpus, has 3.5 free
        a2    2          2 GiB     rack LIKE r1 (rack is "r2"); needs 4 cpus, has 2 free
        exit 0
    "#]]).await;
}
