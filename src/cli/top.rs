//! `tepui top`: what uses the processors and the memory now, the greediest first.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    args::{By, Top},
    error::Outcome,
    output::Table,
    run::{Context, repeat},
    tasks,
    text::{field, list, mem},
};

/// An app or a task, with what it uses beside what it holds.
#[derive(Debug, Clone, PartialEq, Default)]
struct Use {
    name: String,
    instances: usize,
    cpus: f64,
    cpus_held: f64,
    mem_mb: f64,
    mem_mb_held: f64,
}

impl Use {
    fn of(task: &Value) -> Self {
        let number = |value: &Value| value.as_f64().unwrap_or_default();
        Self {
            name: tasks::id(task).to_owned(),
            instances: 1,
            cpus: number(&task["used"]["cpus"]),
            cpus_held: number(&task["cpus"]),
            mem_mb: number(&task["used"]["mem_mb"]),
            mem_mb_held: number(&task["mem_mb"]),
        }
    }

    fn add(&mut self, other: &Self) {
        self.instances += other.instances;
        self.cpus += other.cpus;
        self.cpus_held += other.cpus_held;
        self.mem_mb += other.mem_mb;
        self.mem_mb_held += other.mem_mb_held;
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "instances": self.instances,
            "used": {"cpus": rounded(self.cpus), "mem_mb": rounded(self.mem_mb)},
            "cpus": rounded(self.cpus_held),
            "mem_mb": rounded(self.mem_mb_held),
        })
    }
}

/// As the API has numbers: at most three decimals.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

pub async fn run(cx: &mut Context, top: Top) -> Outcome {
    let Top { tasks, by, rows, watch } = top;
    repeat(cx, watch, async |cx| show(cx, tasks, by, rows).await).await
}

async fn show(cx: &mut Context, singly: bool, by: By, n_max: usize) -> Outcome {
    let answer = cx.client.get("/tepui/v1/tasks").await?;
    let uses = ranked(list(&answer, "tasks"), singly, by);
    let shown = &uses[..uses.len().min(n_max)];
    if cx.printer.json {
        return Ok(cx.printer.value(&shown.iter().map(Use::json).collect())?);
    }
    cx.printer.table(&table(shown, singly))?;
    let n_more = uses.len() - shown.len();
    if n_more > 0 {
        cx.printer.note(&format!("{n_more} more, shown with --rows {}", uses.len()))?;
    }
    Ok(())
}

/// Tasks, or the sums of their apps, the greediest first.
fn ranked<'a>(tasks: impl Iterator<Item = &'a Value>, singly: bool, by: By) -> Vec<Use> {
    let mut uses: Vec<Use> = if singly {
        tasks.map(Use::of).collect()
    } else {
        let mut by_app: BTreeMap<&str, Use> = BTreeMap::new();
        for task in tasks {
            by_app.entry(field(task, "app_id")).or_default().add(&Use::of(task));
        }
        by_app.into_iter().map(|(app, sum)| Use { name: app.to_owned(), ..sum }).collect()
    };
    let greed = |one: &Use| match by {
        By::Cpu => one.cpus,
        By::Mem => one.mem_mb,
    };
    uses.sort_by(|a, b| greed(b).total_cmp(&greed(a)).then_with(|| a.name.cmp(&b.name)));
    uses
}

fn table(uses: &[Use], singly: bool) -> Table {
    let mut table = Table::new(if singly {
        &["TASK", "CPUS USED", "HELD", "MEMORY USED", "HELD"]
    } else {
        &["APP", "TASKS", "CPUS USED", "HELD", "MEMORY USED", "HELD"]
    });
    let memory = |mb: f64| mem(&json!(rounded(mb)));
    for one in uses {
        let mut row = vec![
            one.name.clone(),
            format!("{:.2}", one.cpus),
            rounded(one.cpus_held).to_string(),
            memory(one.mem_mb),
            memory(one.mem_mb_held),
        ];
        if !singly {
            row.insert(1, one.instances.to_string());
        }
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(app: &str, n: u32, used: Option<(f64, f64)>) -> Value {
        let mut task =
            json!({"id": format!("{app}.{n}"), "app_id": app, "cpus": 0.5, "mem_mb": 64});
        if let Some((cpus, mem_mb)) = used {
            task["used"] = json!({"cpus": cpus, "mem_mb": mem_mb});
        }
        task
    }

    fn all() -> Vec<Value> {
        vec![
            task("/web", 1, Some((0.1, 40.0))),
            task("/web", 2, Some((0.25, 10.0))),
            task("/db", 1, Some((0.3, 20.0))),
            task("/new", 1, None),
        ]
    }

    fn names(singly: bool, by: By) -> Vec<String> {
        ranked(all().iter(), singly, by).into_iter().map(|one| one.name).collect()
    }

    #[test]
    fn the_greediest_come_first() {
        assert_eq!(names(false, By::Cpu), ["/web", "/db", "/new"]);
        assert_eq!(names(true, By::Cpu), ["/db.1", "/web.2", "/web.1", "/new.1"]);
        assert_eq!(names(true, By::Mem), ["/web.1", "/db.1", "/web.2", "/new.1"]);
    }

    #[test]
    fn an_app_is_the_sum_of_its_tasks() {
        let uses = ranked(all().iter(), false, By::Cpu);
        let text = table(&uses[..1], false).text(false);
        let cells: Vec<&str> = text.lines().nth(1).unwrap_or_default().split("  ").collect();
        let cells: Vec<&str> = cells.into_iter().map(str::trim).filter(|c| !c.is_empty()).collect();
        assert_eq!(cells, ["/web", "2", "0.35", "1", "50 MiB", "128 MiB"]);
    }
}
