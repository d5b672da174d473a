//! Write an Ansible inventory of node records.

use std::io::{self, BufRead, Write};

use foundation::record::{self, NodeRecord, RecordError};

use crate::inventory::{Inventory, InventoryError};

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InventoryVerbError {
    /// The records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// They cannot become an inventory.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// It could not be printed.
    #[error("cannot write the inventory to standard output")]
    Output(#[source] io::Error),
}

/// Read node records, and print the inventory.
pub(crate) fn run(input: impl BufRead, mut output: impl Write) -> Result<(), InventoryVerbError> {
    let nodes: Vec<NodeRecord> = record::read_all(input)?;
    output.write_all(Inventory::of(&nodes)?.to_yaml()?.as_bytes()).map_err(InventoryVerbError::Output)
}
