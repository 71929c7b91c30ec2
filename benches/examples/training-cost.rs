//! How the cost of a proof of training grows: with the steps, and with the parameters.
//!
//! `cargo run --release -p nexus-benches --example training-cost -- costs.svg` proves each case once, prints a table, and
//! draws times and sizes over (parameters × steps), both axes logarithmic: a line of slope one is linear growth.

use std::error::Error;
use std::time::Instant;

use nexus_circuits::reference::{Clip, Examples, FixedPoint, Integers, Schedule, Shape, TrainingPlan};
use nexus_circuits::training::{DataCommitment, Proof, Statement};
use nexus_federated::data::Dataset;
use nexus_federated::model::Model;
use plotters::prelude::*;

/// Keeps big buffers between phases: threads that fault pages in, one beside the other, take twice as long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SESSION: &[u8] = b"training-cost";
const BATCH: usize = 16;
const EXAMPLES: usize = 100;
/// How often each proof is verified; the least time counts.
const VERIFICATIONS: usize = 5;

/// Hidden units of an MNIST network, and steps.
const CASES: [(&str, &[usize], &[usize]); 2] =
    [("by steps", &[16], &[1, 2, 4, 8, 16, 32, 64]), ("by parameters", &[8, 16, 32, 64, 128, 256], &[4])];

struct Cost {
    series: &'static str,
    shape: Shape,
    steps: usize,
    variables: usize,
    prove_ms: f64,
    verify_ms: f64,
    kilobytes: f64,
}

impl Cost {
    fn work(&self) -> f64 {
        (self.shape.parameters() * self.steps) as f64
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "training-cost.svg".into());
    let mut costs = Vec::new();
    println!(
        "{:>14} {:>6} {:>12} {:>8} {:>10} {:>10} {:>8}",
        "network", "steps", "work", "vector", "prove", "verify", "proof"
    );
    for (series, hidden, steps) in CASES {
        for &hidden in hidden {
            for &steps in steps {
                let cost = measure(series, hidden, steps)?;
                println!(
                    "{:>14} {:>6} {:>12} {:>8} {:>7.0} ms {:>7.1} ms {:>5.0} kB",
                    cost.shape.to_string(),
                    steps,
                    cost.work(),
                    format!("2^{}", cost.variables),
                    cost.prove_ms,
                    cost.verify_ms,
                    cost.kilobytes,
                );
                costs.push(cost);
            }
        }
    }
    draw(&path, &costs)?;
    println!("{path}");
    Ok(())
}

fn measure(series: &'static str, hidden: usize, steps: usize) -> Result<Cost, Box<dyn Error>> {
    let mut rng = nexus_benches::rng(7);
    let data = Dataset::mnist10k().subset(&(0..EXAMPLES).collect::<Vec<_>>());
    let examples = Examples::new(data.inputs(), data.labels(), data.features())?;
    let shape = Shape::new(&[data.features(), hidden, data.classes()])?;
    let start = Model::initial(&shape, FixedPoint::V1, &mut rng)?;
    let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, BATCH, steps, 6)?;
    let clip = Clip::new(1 << 14, 4, shape.parameters())?;
    let (commitment, mut secret, _) = DataCommitment::new(examples, 1, SESSION, &mut rng)?;
    let seed = Schedule::seed(&[1; 32], &commitment.digest(), 0, 0);
    let statement = Statement::new(plan, start.weights().clone(), commitment, 0, seed, Some(clip))?;
    let begun = Instant::now();
    let (proof, _) = Proof::new(&statement, &mut secret, examples, Integers, SESSION, &mut rng)?;
    let prove_ms = begun.elapsed().as_secs_f64() * 1e3;
    let mut verify_ms = f64::INFINITY;
    for _ in 0..VERIFICATIONS {
        let begun = Instant::now();
        proof.verify(&statement, SESSION)?;
        verify_ms = verify_ms.min(begun.elapsed().as_secs_f64() * 1e3);
    }
    let kilobytes = proof.to_bytes().len() as f64 / 1e3;
    Ok(Cost { series, shape, steps, variables: statement.variables(), prove_ms, verify_ms, kilobytes })
}

/// A panel: its title, and what it draws of a cost.
type Panel = (&'static str, fn(&Cost) -> f64);

fn draw(path: &str, costs: &[Cost]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, (1_200, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let panels: [Panel; 3] = [
        ("prove, ms", |cost| cost.prove_ms),
        ("verify, ms", |cost| cost.verify_ms),
        ("proof, kB", |cost| cost.kilobytes),
    ];
    let whole = |value: &f64| format!("{value:.0}");
    let works = || costs.iter().map(Cost::work);
    let (least, most) = (works().fold(f64::MAX, f64::min), works().fold(0.0, f64::max));
    for (area, (title, value)) in root.split_evenly((1, 3)).iter().zip(panels) {
        let values = || costs.iter().map(value);
        let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d((least / 1.5..most * 1.5).log_scale(), (low / 2.0..high * 2.0).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("parameters × steps")
            .x_labels(6)
            .y_labels(8)
            .x_label_formatter(&whole)
            .y_label_formatter(&whole)
            .draw()?;
        for ((series, ..), color) in CASES.iter().zip([BLUE, RED]) {
            let points: Vec<(f64, f64)> =
                costs.iter().filter(|cost| cost.series == *series).map(|cost| (cost.work(), value(cost))).collect();
            chart
                .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?
                .label(*series)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
            chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, color.filled())))?;
        }
        // Linear growth through the first point of the first series.
        if let Some(first) = costs.first() {
            let line = |work: f64| (work, value(first) * work / first.work());
            let ends = [line(least), line(most)];
            chart
                .draw_series(DashedLineSeries::new(ends, 4, 6, BLACK.stroke_width(1)))?
                .label("linear")
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK));
        }
        let labels = &mut chart.configure_series_labels();
        labels.position(SeriesLabelPosition::UpperLeft).border_style(BLACK.mix(0.3)).background_style(WHITE).draw()?;
    }
    root.present()?;
    Ok(())
}
