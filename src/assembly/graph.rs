//! Which resource of a template needs which.
//!
//! An edge goes from a resource to one that it refers to, through `Ref`,
//! `Fn::GetAtt`, `Fn::Sub` or `DependsOn`. CloudFormation makes resources in the order
//! of these edges and refuses circles. Names that are no resource of the template are
//! left out: whether they exist is not this file's question.

use indexmap::IndexMap;

use crate::Template;
use crate::intrinsic::{Trail, each_reference};

/// The dependencies between the resources of one template.
#[derive(Debug, Clone, Default)]
pub struct Graph<'a> {
    names: Vec<&'a str>,
    /// For each resource the places of those it needs, in reading order, without
    /// repetitions.
    needs: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    /// Reads the dependencies of a template.
    pub fn of(template: &'a Template) -> Self {
        let names: Vec<&str> = template.resources.keys().map(String::as_str).collect();
        let needs = template
            .resources
            .values()
            .map(|resource| {
                let mut needed: Vec<usize> = Vec::new();
                let mut add = |id: &str| {
                    if let Some(place) = template.resources.get_index_of(id)
                        && !needed.contains(&place)
                    {
                        needed.push(place);
                    }
                };
                resource.depends_on.iter().for_each(|id| add(id));
                for value in resource.properties.values() {
                    each_reference(value, &Trail::Root, &mut |target, _| {
                        target.id().into_iter().for_each(&mut add);
                    });
                }
                needed
            })
            .collect();
        Graph { names, needs }
    }

    /// What a resource needs, in reading order.
    pub fn needs(&self, id: &str) -> impl Iterator<Item = &'a str> {
        let place = self.names.iter().position(|name| *name == id);
        place.and_then(|place| self.needs.get(place)).into_iter().flatten().map(|p| self.names[*p])
    }

    /// The circles among the resources: each as the ids on it, starting with the one
    /// that comes first in the template. Circles that share resources are told once.
    pub fn circles(&self) -> Vec<Vec<&'a str>> {
        let mut circles = Vec::new();
        let mut state = vec![State::New; self.names.len()];
        // A walk without recursion: templates of other tools may be chains of hundreds.
        let mut walk: Vec<(usize, usize)> = Vec::new();
        for start in 0..self.names.len() {
            if state[start] != State::New {
                continue;
            }
            state[start] = State::Open;
            walk.push((start, 0));
            while let Some((place, next)) = walk.last_mut() {
                let place = *place;
                let Some(&needed) = self.needs[place].get(*next) else {
                    state[place] = State::Done;
                    walk.pop();
                    continue;
                };
                *next += 1;
                match state[needed] {
                    State::New => {
                        state[needed] = State::Open;
                        walk.push((needed, 0));
                    }
                    State::Open => {
                        let from = walk.iter().position(|(place, _)| *place == needed);
                        let on = &walk[from.unwrap_or_default()..];
                        circles.push(self.named(on.iter().map(|(place, _)| *place).collect()));
                    }
                    State::Done => {}
                }
            }
        }
        circles
    }

    /// The resources in an order in which each comes after those it needs; otherwise
    /// in the template's order. Resources on a circle come where they stand.
    pub fn order(&self) -> Vec<&'a str> {
        let mut order = Vec::with_capacity(self.names.len());
        let mut state = vec![State::New; self.names.len()];
        let mut walk: Vec<(usize, usize)> = Vec::new();
        for start in 0..self.names.len() {
            if state[start] == State::New {
                state[start] = State::Open;
                walk.push((start, 0));
            }
            while let Some((place, next)) = walk.last_mut() {
                let place = *place;
                match self.needs[place].get(*next) {
                    Some(&needed) => {
                        *next += 1;
                        if state[needed] == State::New {
                            state[needed] = State::Open;
                            walk.push((needed, 0));
                        }
                    }
                    None => {
                        state[place] = State::Done;
                        order.push(self.names[place]);
                        walk.pop();
                    }
                }
            }
        }
        order
    }

    /// What needs what, by name.
    pub fn to_map(&self) -> IndexMap<&'a str, Vec<&'a str>> {
        let named = |needs: &Vec<usize>| needs.iter().map(|place| self.names[*place]).collect();
        self.names.iter().copied().zip(self.needs.iter().map(named)).collect()
    }

    fn named(&self, mut circle: Vec<usize>) -> Vec<&'a str> {
        let first = circle.iter().enumerate().min_by_key(|(_, place)| **place);
        let first = first.map_or(0, |(index, _)| index);
        circle.rotate_left(first);
        circle.into_iter().map(|place| self.names[place]).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(edges: &[(&str, &[&str])]) -> Template {
        let resources: serde_json::Map<_, _> = edges
            .iter()
            .map(|(id, needs)| {
                let refs: Vec<_> = needs.iter().map(|need| json!({ "Ref": need })).collect();
                ((*id).to_owned(), json!({"Type": "X::Y::Z", "Properties": {"P": refs}}))
            })
            .collect();
        Template::from_value(json!({ "Resources": resources })).unwrap()
    }

    #[test]
    fn names_a_circle_from_its_first_resource() {
        let template =
            template(&[("A", &["B"]), ("B", &["C"]), ("C", &["B", "Param"]), ("D", &["D"])]);
        assert_eq!(Graph::of(&template).circles(), [vec!["B", "C"], vec!["D"]]);
    }

    #[test]
    fn orders_what_is_needed_first() {
        let template = template(&[("A", &["C", "B"]), ("B", &[]), ("C", &["B"])]);
        let graph = Graph::of(&template);
        assert_eq!(graph.order(), ["B", "C", "A"]);
        assert!(graph.circles().is_empty());
        assert_eq!(graph.needs("A").collect::<Vec<_>>(), ["C", "B"]);
    }

    #[test]
    fn sees_depends_on_and_substitutions() {
        let template = Template::from_value(json!({"Resources": {
            "A": {"Type": "X::Y::Z", "DependsOn": "B"},
            "B": {"Type": "X::Y::Z", "Properties": {"N": {"Fn::Sub": "${C.Arn}/${D}"}}},
            "C": {"Type": "X::Y::Z"}, "D": {"Type": "X::Y::Z"}
        }}))
        .unwrap();
        assert_eq!(Graph::of(&template).order(), ["C", "D", "B", "A"]);
    }
}
