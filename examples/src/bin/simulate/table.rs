use std::fmt::Write;
use std::path::Path;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use nexus_federated::config::TrainingProof;
use nexus_federated::run::{Outcome, Summary};

/// What a person reads at the end of a run.
pub(crate) fn summary(summary: &Summary, folder: &Path, page: &Path) -> String {
    let mut text = String::new();
    let mut line = |part: String| writeln!(text, "{part}").expect("a string takes what it is given");
    line(rounds(summary).to_string());
    line(phases(summary).to_string());
    line(proofs(summary));
    if let Some(encryption) = &summary.encryption {
        line(format!("Encryption: {encryption}."));
    }
    if summary.incidents().next().is_some() {
        line(incidents(summary).to_string());
    }
    line(result(summary));
    if let Outcome::BudgetExhausted(reason) = &summary.outcome {
        line(format!("Stopped: {reason}"));
    }
    match summary.caught() {
        Some(true) => line("Attack caught.".to_owned()),
        Some(false) => line("ATTACK NOT CAUGHT.".to_owned()),
        None => {}
    }
    line(format!("Run     {}", folder.display()));
    line(format!("Report  {}", page.display()));
    text
}

fn result(summary: &Summary) -> String {
    let privacy = match summary.epsilon() {
        Some(epsilon) => format!(
            "epsilon {epsilon:.3} at delta {:e} for users (budget {})",
            summary.settings.privacy.delta, summary.settings.privacy.epsilon
        ),
        None => "no differential privacy".to_owned(),
    };
    let without = summary.without_noise.as_ref().and_then(|all| all.last());
    let without = without.map_or_else(String::new, |value| format!(" ({:.1} % without noise)", 100.0 * value));
    let (sent, received) = summary.bytes_per_client();
    format!(
        "Test accuracy {:.1} %{without}; {privacy}.\nA client sends {:.1} kB and receives {:.1} kB a round.",
        100.0 * summary.accuracy(),
        sent / 1e3,
        received / 1e3
    )
}

fn rounds(summary: &Summary) -> Table {
    let mut table = table(&[
        "round",
        "accuracy",
        "no noise",
        "epsilon",
        "in sum",
        "left",
        "sent/client",
        "recv/client",
        "clients",
        "server",
        "outcome",
    ]);
    let clients = summary.settings.training.clients as f64;
    for (index, record) in summary.rounds.iter().enumerate() {
        let without = summary.without_noise.as_ref().and_then(|all| all.get(index));
        table.add_row([
            record.report.round.0.to_string(),
            format!("{:.1} %", 100.0 * record.accuracy),
            without.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", 100.0 * value)),
            record.epsilon.map_or_else(|| "-".to_owned(), |epsilon| format!("{epsilon:.3}")),
            record.report.contributors.len().to_string(),
            record.report.left.len().to_string(),
            format!("{:.1} kB", record.report.total(|metrics| metrics.sent as f64) / clients / 1e3),
            format!("{:.1} kB", record.report.total(|metrics| metrics.received as f64) / clients / 1e3),
            format!("{:.0} ms", record.report.total(|metrics| metrics.clients_ms)),
            format!("{:.0} ms", record.report.total(|metrics| metrics.coordinator_ms)),
            if record.report.aborted.is_some() { "aborted" } else { "applied" }.to_owned(),
        ]);
    }
    table
}

fn phases(summary: &Summary) -> Table {
    let mut table =
        table(&["phase (mean of a round)", "answers", "sent/client", "recv/client", "one client", "clients", "server"]);
    for means in summary.phases() {
        table.add_row([
            means.phase.name().to_owned(),
            format!("{:.1}", means.answers),
            format!("{:.2} kB", means.sent / 1e3),
            format!("{:.2} kB", means.received / 1e3),
            format!("{:.1} ms", means.client_ms),
            format!("{:.0} ms", means.clients_ms),
            format!("{:.0} ms", means.coordinator_ms),
        ]);
    }
    table
}

/// What a proof of training takes, and what it is not.
fn proofs(summary: &Summary) -> String {
    let Some((client_ms, proof)) = summary.proof() else {
        return "Training: nothing is proven; a client's update is what it says.".to_owned();
    };
    let kind = match summary.settings.training.proof {
        TrainingProof::Transparent => "not zero-knowledge",
        TrainingProof::ZeroKnowledge | TrainingProof::None => "zero-knowledge",
    };
    format!(
        "A proof of training ({kind}): {:.1} kB, {client_ms:.0} ms to train and make it, {:.1} ms to verify, each on one core.\n\
         What a client sends masked is not bound to its proof yet: it could prove one update and send another.",
        proof.bytes / 1e3,
        proof.verify_ms
    )
}

fn incidents(summary: &Summary) -> Table {
    let mut table = table(&["round", "phase", "found by", "to blame", "why"]);
    for incident in summary.incidents() {
        table.add_row([
            incident.round.0.to_string(),
            incident.phase.name().to_owned(),
            incident.found_by.to_string(),
            incident.accused.to_string(),
            incident.reason.clone(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    table
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
