use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// What a run came to.
#[derive(Serialize)]
pub(crate) struct Outcome {
    pub(crate) network: &'static str,
    pub(crate) data: &'static str,
    pub(crate) train_examples: usize,
    pub(crate) test_examples: usize,
    /// The clear network on all test images.
    pub(crate) clear_test_accuracy: f64,
    pub(crate) images: usize,
    pub(crate) accuracy: Accuracy,
    pub(crate) encryption: Encryption,
}

/// The share of the images that are classified right, and of those that are classified as the clear network does.
#[derive(Serialize)]
pub(crate) struct Accuracy {
    pub(crate) clear: f64,
    pub(crate) encrypted: f64,
    pub(crate) encrypted_as_clear: f64,
}

/// What a back end measured.
#[derive(Serialize)]
pub(crate) struct Encryption {
    pub(crate) backend: &'static str,
    pub(crate) parameters: String,
    /// What is evaluated, and how it differs from the clear network.
    pub(crate) evaluated: String,
    pub(crate) noise: String,
    /// Of what is evaluated, in the clear, on all test images.
    pub(crate) reference_test_accuracy: f64,
    #[serde(skip)]
    pub(crate) classes: Vec<usize>,
    pub(crate) milliseconds: Milliseconds,
    pub(crate) bytes: Bytes,
}

/// Wall-clock times; all but the keys' are of one image.
#[derive(Default, Serialize)]
pub(crate) struct Milliseconds {
    pub(crate) keys: f64,
    pub(crate) encrypt: f64,
    pub(crate) evaluate: f64,
    pub(crate) decrypt: f64,
}

/// All but the key's are of one image.
#[derive(Default, Serialize)]
pub(crate) struct Bytes {
    pub(crate) evaluation_key: usize,
    pub(crate) upload: usize,
    pub(crate) answer: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, data, train_examples, test_examples, images, accuracy, encryption, .. } = self;
        let Encryption { backend, parameters, evaluated, noise, milliseconds, bytes, .. } = encryption;
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        writeln!(f, "Network {network} on {data}: {train_examples} images to train, {test_examples} to test.")?;
        writeln!(f, "Under {backend} ({parameters}): {evaluated}.")?;
        writeln!(f, "{noise}.\n")?;
        let mut table = table(&["accuracy", "clear network", "as evaluated, in the clear", "encrypted"]);
        table.add_row([
            format!("all {test_examples} test images"),
            percent(self.clear_test_accuracy),
            percent(encryption.reference_test_accuracy),
            String::new(),
        ]);
        table.add_row([
            format!("{images} of them, encrypted"),
            percent(accuracy.clear),
            String::new(),
            percent(accuracy.encrypted),
        ]);
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "Of the encrypted images {} got the class that the clear network gives.\n",
            percent(accuracy.encrypted_as_clear)
        )?;
        let mut table = self::table(&["", "keys", "encrypt", "evaluate", "decrypt"]);
        table.add_row([
            "time, an image".to_owned(),
            format!("{:.0} ms, once", milliseconds.keys),
            format!("{:.1} ms", milliseconds.encrypt),
            format!("{:.0} ms", milliseconds.evaluate),
            format!("{:.1} ms", milliseconds.decrypt),
        ]);
        table.add_row([
            "bytes, an image".to_owned(),
            format!("{:.1} MB, once", bytes.evaluation_key as f64 / 1e6),
            format!("{:.1} kB up", bytes.upload as f64 / 1e3),
            String::new(),
            format!("{:.1} kB down", bytes.answer as f64 / 1e3),
        ]);
        writeln!(f, "{table}")
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
