//! Size: the largest answer, all groups with everything embedded, is whole. Its time is printed;
//! the target (0.3 s, optimised, for 1,000 apps with 10,000 tasks) is watched by `make bench`.

use std::fmt::Write as _;

use serde_json::Value;
use tepui::http::Body;
use tokio::time::Instant;

use super::cluster::Cluster;

const N_APPS: usize = 1_000;
const N_INSTANCES: usize = 10;
const ALL: &str = "/v2/groups?embed=group.groups&embed=group.apps&embed=group.pods\
    &embed=group.apps.tasks&embed=group.apps.counts&embed=group.apps.deployments\
    &embed=group.apps.readiness&embed=group.apps.lastTaskFailure&embed=group.apps.taskStats";

#[tokio::test]
async fn all_groups_with_everything() {
    let cluster = Cluster::new(20);
    let dialect = cluster.dialect();
    let mut apps = String::from("[");
    for n in 0..N_APPS {
        let comma = if n == 0 { "" } else { "," };
        let group = n % 20;
        write!(
            apps,
            r#"{comma}{{"id":"/g{group}/a{n}","cmd":"sleep 100","cpus":0.001,"mem":1,"instances":{N_INSTANCES},"healthChecks":[{{"protocol":"TCP"}}]}}"#
        )
        .unwrap();
    }
    apps.push(']');
    let request = ::http::Request::put("/v2/apps").body(Body::from(apps)).unwrap();
    assert_eq!(dialect.answer(request).await.status(), 200);
    cluster.settle();

    let started = Instant::now();
    let request = ::http::Request::get(ALL).body(Body::empty()).unwrap();
    let response = dialect.answer(request).await;
    let elapsed = started.elapsed();
    let bytes = response.body().bytes().unwrap();
    println!("{} bytes in {elapsed:?}", bytes.len());

    let root: Value = serde_json::from_slice(bytes).unwrap();
    let groups = root["groups"].as_array().unwrap();
    let apps: Vec<&Value> = groups.iter().flat_map(|g| g["apps"].as_array().unwrap()).collect();
    assert_eq!(apps.len(), N_APPS);
    for app in apps {
        assert_eq!(app["tasks"].as_array().unwrap().len(), N_INSTANCES);
        assert_eq!(app["tasksHealthy"], N_INSTANCES);
        assert_eq!(app["taskStats"]["totalSummary"]["stats"]["counts"]["running"], N_INSTANCES);
    }
}
