//! Which nodes share a task.
//!
//! A node with one forward edge from a node of its own parallelism joins that node's chain: its rows are handed over by a call. A
//! source, a union and whatever is behind an exchange by key begin a chain of their own.

use crate::plan::{Chain, ChainIndex, Exchange, PlanNode};

/// Groups nodes (in topological order) into chains, ordered by their heads.
pub(crate) fn chains(nodes: &[PlanNode]) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut chain_of: Vec<ChainIndex> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let upstream = match node.inputs.as_slice() {
            [edge] if edge.exchange == Exchange::Forward && nodes[edge.from].parallelism == node.parallelism => Some(chain_of[edge.from]),
            _ => None,
        };
        let chain = upstream.unwrap_or(chains.len());
        if upstream.is_none() {
            chains.push(Chain { nodes: Vec::new(), parallelism: node.parallelism });
        }
        chains[chain].nodes.push(index);
        chain_of.push(chain);
    }
    chains
}
