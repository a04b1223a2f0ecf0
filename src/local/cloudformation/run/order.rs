//! Work in the order of dependencies, as much at once as is sensible.
//!
//! The order is given by names and the names that they wait for; what the work is,
//! nobody knows here. The same function makes, changes, restores and deletes.

use std::collections::{HashMap, VecDeque};

use indexmap::IndexMap;
use tokio::task::JoinSet;

/// Does the work of each name after that of the names that it waits for, and
/// gives the names whose work failed. What waits for them is never begun.
///
/// After `stop` says so, nothing new is begun; what was begun comes to its end.
pub async fn in_order<F, W>(
    waits: &IndexMap<String, Vec<String>>,
    stop: impl Fn() -> bool,
    work: W,
) -> Vec<String>
where
    W: Fn(String) -> F,
    F: Future<Output = bool> + Send + 'static,
{
    let places: HashMap<&str, usize> =
        waits.keys().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let mut open: Vec<usize> = vec![0; waits.len()];
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); waits.len()];
    for (place, needed) in waits.values().enumerate() {
        for name in needed {
            if let Some(&before) = places.get(name.as_str()).filter(|before| **before != place) {
                followers[before].push(place);
                open[place] += 1;
            }
        }
    }
    let mut ready: VecDeque<usize> = (0..waits.len()).filter(|place| open[*place] == 0).collect();
    let mut begun = vec![false; waits.len()];
    let mut running: JoinSet<(usize, bool)> = JoinSet::new();
    let mut tasks: HashMap<tokio::task::Id, usize> = HashMap::new();
    let mut failed = Vec::new();
    loop {
        while running.len() < AT_ONCE && !stop() {
            let Some(place) = ready.pop_front() else { break };
            let Some((name, _)) = waits.get_index(place) else { continue };
            let task = work(name.clone());
            begun[place] = true;
            let handle = running.spawn(async move { (place, task.await) });
            tasks.insert(handle.id(), place);
        }
        // A task that panicked is a fault of the program; its resource has not come to be.
        let Some(outcome) = running.join_next().await else {
            // Resources of two versions of a stack may need each other in a circle.
            // Then some order is better than leaving them behind.
            let stuck = (0..waits.len()).find(|place| open[*place] > 0 && !begun[*place]);
            match stuck.filter(|_| failed.is_empty() && !stop()) {
                Some(place) => ready.push_back(place),
                None => return failed,
            }
            continue;
        };
        match outcome {
            Ok((place, true)) => {
                for &follower in &followers[place] {
                    open[follower] -= 1;
                    if open[follower] == 0 && !begun[follower] {
                        ready.push_back(follower);
                    }
                }
            }
            Ok((place, false)) => {
                failed.extend(waits.get_index(place).map(|(name, _)| name.clone()));
            }
            Err(error) => {
                let name = tasks.get(&error.id()).and_then(|place| waits.get_index(*place));
                let name = name.map(|(name, _)| name.clone()).unwrap_or_default();
                tracing::error!(%error, resource = name, "the work on a resource broke off");
                failed.push(name);
            }
        }
    }
}

/// How many resources are worked on at once.
const AT_ONCE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn waits(edges: &[(&str, &[&str])]) -> IndexMap<String, Vec<String>> {
        edges
            .iter()
            .map(|(name, needed)| {
                ((*name).to_owned(), needed.iter().map(|name| (*name).to_owned()).collect())
            })
            .collect()
    }

    #[tokio::test]
    async fn begins_nothing_behind_what_failed() {
        let done = Arc::new(Mutex::new(Vec::new()));
        let graph = waits(&[("A", &["B"]), ("B", &["C", "Elsewhere"]), ("C", &[]), ("D", &["D"])]);
        let failed = in_order(
            &graph,
            || false,
            |name| {
                let done = done.clone();
                async move {
                    done.lock().unwrap().push(name.clone());
                    name != "B"
                }
            },
        )
        .await;
        assert_eq!(failed, ["B"]);
        let mut done = done.lock().unwrap().clone();
        done.sort();
        assert_eq!(done, ["B", "C", "D"]);
    }

    #[tokio::test]
    async fn leaves_nothing_behind_on_a_circle() {
        let done = Arc::new(Mutex::new(Vec::new()));
        let graph = waits(&[("A", &["B"]), ("B", &["A"]), ("C", &["A"])]);
        let failed = in_order(
            &graph,
            || false,
            |name| {
                let done = done.clone();
                async move {
                    done.lock().unwrap().push(name);
                    true
                }
            },
        )
        .await;
        assert!(failed.is_empty());
        assert_eq!(done.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn begins_nothing_after_the_stop() {
        let graph = waits(&[("A", &[]), ("B", &["A"])]);
        let stopped = Arc::new(Mutex::new(false));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let failed = in_order(
            &graph,
            || *stopped.lock().unwrap(),
            |name| {
                let (stopped, seen) = (stopped.clone(), seen.clone());
                async move {
                    *stopped.lock().unwrap() = true;
                    seen.lock().unwrap().push(name);
                    true
                }
            },
        )
        .await;
        assert!(failed.is_empty());
        assert_eq!(*seen.lock().unwrap(), ["A"]);
    }
}
