//! The graph in Graphviz's language.

use super::{Graph, Stage};
use crate::plan::Plan;

/// One box a stage, filled where it is done, an arrow from what it reads.
pub fn draw(graph: &Graph, plan: &Plan) -> String {
    let mut text = format!("digraph {} {{\n  rankdir=LR;\n  node [shape=box, style=filled];\n", quoted(&plan.name));
    for (at, node) in graph.nodes.iter().enumerate() {
        let (done, all) = node.parts;
        let state = match (node.left, done) {
            (false, _) => "done".to_owned(),
            (true, 0) => "left".to_owned(),
            (true, done) => format!("{done} of {all} parts"),
        };
        let shared = if node.used_by > 1 { format!("\nshared by {} runs", node.used_by) } else { String::new() };
        let label = format!("{}\n{} {state}{shared}", node.label(plan), node.key.short());
        let colour = if node.left { "white" } else { "palegreen" };
        let shape = if node.stage == Stage::Evaluate { ", shape=ellipse" } else { "" };
        text.push_str(&format!("  n{at} [label={}, fillcolor={colour}{shape}];\n", quoted(&label)));
        for input in &node.inputs {
            text.push_str(&format!("  n{input} -> n{at};\n"));
        }
    }
    text.push_str("}\n");
    text
}

/// A string of the language; line breaks stay line breaks.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
