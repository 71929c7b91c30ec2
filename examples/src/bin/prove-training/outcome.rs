use std::fmt;
use std::path::PathBuf;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use nexus_examples::Description;
use serde::Serialize;

/// What a run came to, for its owner: the accuracies are of the private model.
#[derive(Serialize)]
pub(crate) struct Outcome {
    pub(crate) folder: PathBuf,
    pub(crate) statement: Description,
    pub(crate) data: Data,
    pub(crate) accuracy: Accuracy,
    pub(crate) update_scale: Option<f64>,
    pub(crate) milliseconds: Milliseconds,
    pub(crate) bytes: Bytes,
}

/// What was learnt from.
#[derive(Serialize)]
pub(crate) struct Data {
    pub(crate) source: String,
    pub(crate) examples: usize,
    pub(crate) test_examples: usize,
}

/// The share of the test examples that are classified right.
#[derive(Serialize)]
pub(crate) struct Accuracy {
    pub(crate) before: f64,
    pub(crate) after: f64,
}

#[derive(Serialize)]
pub(crate) struct Milliseconds {
    pub(crate) register: f64,
    pub(crate) prove: f64,
    pub(crate) verify: f64,
    pub(crate) write: f64,
}

#[derive(Serialize)]
pub(crate) struct Bytes {
    pub(crate) statement: usize,
    pub(crate) start_model: usize,
    pub(crate) data_commitment: usize,
    pub(crate) proof: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, statement, data, accuracy, milliseconds, bytes, .. } = self;
        writeln!(f, "{statement}\n")?;
        let mut terms = table(&["bits", "part of the proof", "what can go wrong"]);
        for term in &statement.security.terms {
            terms.add_row([format!("{:.1}", term.bits), term.part.clone(), term.term.clone()]);
        }
        terms.add_row([format!("{:.1}", statement.security.bits), "in all".into(), String::new()]);
        writeln!(f, "{terms}")?;
        let mut phases = table(&["register", "train and prove", "verify", "write", "proof", "other public files"]);
        let others = bytes.statement + bytes.start_model + bytes.data_commitment;
        phases.add_row([
            format!("{:.0} ms", milliseconds.register),
            format!("{:.0} ms", milliseconds.prove),
            format!("{:.0} ms", milliseconds.verify),
            format!("{:.0} ms", milliseconds.write),
            format!("{:.1} kB", bytes.proof as f64 / 1e3),
            format!("{:.1} kB", others as f64 / 1e3),
        ]);
        writeln!(f, "{phases}")?;
        writeln!(
            f,
            "Accuracy {:.1} % before, {:.1} % after, on {} examples of {} kept apart.",
            100.0 * accuracy.before,
            100.0 * accuracy.after,
            data.test_examples,
            data.source
        )?;
        if let Some(scale) = self.update_scale {
            writeln!(f, "The clip scaled the update by {scale:.4}.")?;
        }
        writeln!(f, "Publish  {}  but not  {}", folder.display(), folder.join(super::PRIVATE).display())
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
