//! Nodes by their ids, and the ways between them.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// Nodes that one search comes by. Where there are more, nobody would follow them either.
const FARTHEST: usize = 200;

/// Inputs of nodes that only pass a value on.
const PASSED: [&str; 9] =
    ["value", "string", "text", "seed", "int", "float", "number", "any", "anything"];

/// The nodes of a graph, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Graph {
    order: Vec<String>,
    nodes: HashMap<String, Node>,
}

/// A node and what it was given.
#[derive(Debug)]
pub(super) struct Node {
    class: String,
    inputs: HashMap<String, Input>,
}

/// What an input was given.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// A value.
    Is(Value),
    /// What the node of this id gives.
    From(String),
}

impl Node {
    pub(super) fn new(class: &str, inputs: HashMap<String, Input>) -> Self {
        Self { class: class.to_owned(), inputs }
    }

    /// Whether it has one of these inputs.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.inputs.contains_key(*name))
    }

    /// Whether it gives an empty conditioning.
    pub(super) fn is_zero(&self) -> bool {
        self.class.contains("ZeroOut")
    }
}

impl Graph {
    pub(super) fn new(nodes: impl IntoIterator<Item = (String, Node)>) -> Self {
        let nodes: HashMap<String, Node> = nodes.into_iter().collect();
        let mut order: Vec<String> = nodes.keys().cloned().collect();
        order.sort_by_cached_key(|id| (id.parse::<u64>().unwrap_or(u64::MAX), id.clone()));
        Self { order, nodes }
    }

    /// The graph that was carried out: `{ID: {class_type, inputs: {NAME: VALUE | [ID, SLOT]}}}`.
    pub(super) fn of_prompt(value: &Value) -> Self {
        let nodes = value.as_object().into_iter().flatten().filter_map(|(id, node)| {
            let inputs = node["inputs"].as_object()?.iter();
            let inputs = inputs.map(|(name, value)| (name.clone(), input(value))).collect();
            Some((id.clone(), Node::new(node["class_type"].as_str()?, inputs)))
        });
        Self::new(nodes)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.order.iter().filter_map(|id| self.nodes.get(id))
    }

    /// The node that an input is linked to.
    pub(super) fn linked(&self, node: &Node, name: &str) -> Option<&Node> {
        match node.inputs.get(name)? {
            Input::From(id) => self.nodes.get(id),
            Input::Is(_) => None,
        }
    }

    /// The nearest node behind these inputs, and behind the same inputs of what comes by, that is
    /// wanted.
    pub(super) fn find(
        &self,
        node: &Node,
        inputs: &[&str],
        is_wanted: impl Fn(&Node) -> bool,
    ) -> Option<&Node> {
        let mut seen = HashSet::new();
        let mut waiting: Vec<&Node> = Vec::new();
        let behind = |node: &Node| -> Vec<&Node> {
            inputs.iter().filter_map(|name| self.linked(node, name)).collect()
        };
        waiting.extend(behind(node));
        let mut i = 0;
        while let Some(&node) = waiting.get(i).filter(|_| i < FARTHEST) {
            i += 1;
            if !seen.insert(std::ptr::from_ref(node)) {
                continue;
            }
            if is_wanted(node) {
                return Some(node);
            }
            waiting.extend(behind(node));
        }
        None
    }

    /// The value of the first of these inputs that is there, through nodes that pass it on.
    fn value<'a>(&'a self, node: &'a Node, names: &[&str]) -> Option<&'a Value> {
        let mut input = names.iter().find_map(|name| node.inputs.get(*name))?;
        for _ in 0..FARTHEST {
            let id = match input {
                Input::Is(value) => return Some(value),
                Input::From(id) => id,
            };
            let next = self.nodes.get(id)?;
            let mut passed = names.iter().chain(&PASSED);
            input = passed.find_map(|name| next.inputs.get(*name))?;
        }
        None
    }

    pub(super) fn text(&self, node: &Node, names: &[&str]) -> Option<String> {
        self.value(node, names)?.as_str().map(Into::into)
    }

    pub(super) fn number(&self, node: &Node, names: &[&str]) -> Option<f64> {
        self.value(node, names)?.as_f64()
    }

    pub(super) fn integer(&self, node: &Node, names: &[&str]) -> Option<u64> {
        self.value(node, names)?.as_u64()
    }
}

fn input(value: &Value) -> Input {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(id), Value::Number(_)]) => Input::From(id.clone()),
        Some([Value::Number(id), Value::Number(_)]) => Input::From(id.to_string()),
        _ => Input::Is(value.clone()),
    }
}
