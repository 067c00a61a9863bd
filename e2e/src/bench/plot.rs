//! What was measured, as pictures: one for each workload, with a panel for each of what is compared.
//!
//! Pure. A bar is the median, the line across it reaches from the least to the most. Called by the binary `borealis-bench`.

use anyhow::{Result, anyhow};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    probe::Phase,
    report::{Report, Step},
    table::{count, mib},
};

/// Pixels: a panel's width, a bar's height, room for what stands left of the first panel and above and below all.
const PANEL: u32 = 250;
const BAR: u32 = 24;
const LEFT: u32 = 300;
const ABOVE: u32 = 56;
const BELOW: u32 = 30;
/// The contenders in their order, apart also for those who see few colours.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(128, 128, 128), RGBColor(0, 158, 115)];

/// One bar: who, and the values of all runs.
struct Bar {
    contender: usize,
    values: Vec<f64>,
}

/// One panel: what, and a bar for each row of the picture.
struct Panel {
    title: String,
    bars: Vec<Bar>,
}

/// What is compared of a step.
type Measure = (&'static str, fn(&Phase, f64) -> Option<f64>);

const MEASURES: [Measure; 4] = [
    ("wall time, s", |phase, _| Some(phase.wall)),
    ("its CPU, s", |phase, _| Some(phase.own_cost()?.cpu)),
    ("its peak memory, MiB", |phase, _| Some(mib(phase.own_cost()?.peak))),
    ("all writes per instance", |phase, each| Some(count(phase.all_writes()) / each)),
];

/// A picture of each workload, by its name.
///
/// # Errors
/// When one can't be drawn.
pub fn plots(report: &Report) -> Result<Vec<(String, String)>> {
    let mut plots = Vec::new();
    for workload in report.workloads() {
        let steps = report.steps(workload);
        let (rows, panels) =
            if steps.is_empty() { of_figures(report, workload) } else { of_steps(report, workload, &steps) };
        plots.push((workload.to_owned(), draw(&title(report, workload), &rows, &panels)?));
    }
    Ok(plots)
}

fn title(report: &Report, workload: &str) -> String {
    let instances = report.of(workload).map(|round| round.instances).max().unwrap_or_default();
    let runs = report.of(workload).map(|round| round.run).max().unwrap_or_default();
    let plural = if runs == 1 { "run" } else { "runs" };
    format!("{workload}: {instances} instances, {runs} {plural}")
}

fn of_steps(report: &Report, workload: &str, steps: &[Step<'_>]) -> (Vec<String>, Vec<Panel>) {
    let contenders = report.contenders(workload);
    let panel = |(title, measure): &Measure| {
        let bars = steps.iter().map(|step| Bar {
            contender: contenders.iter().position(|name| *name == step.contender).unwrap_or_default(),
            values: step.values(|phase| measure(phase, f64::from(step.instances))),
        });
        Panel { title: (*title).to_owned(), bars: bars.collect() }
    };
    let rows = steps.iter().map(|step| format!("{}: {}", step.contender, step.name));
    (rows.collect(), MEASURES.iter().map(panel).collect())
}

/// The seconds that were seen, where there are no steps.
fn of_figures(report: &Report, workload: &str) -> (Vec<String>, Vec<Panel>) {
    let (mut rows, mut bars) = (Vec::new(), Vec::new());
    for (contender, who) in report.contenders(workload).into_iter().enumerate() {
        let rounds = || report.of(workload).filter(|round| round.contender == who);
        let Some(first) = rounds().next() else { continue };
        for name in first.figures.keys().filter(|name| name.ends_with(", s")) {
            let values = rounds().filter_map(|round| round.figures.get(name)).flatten().copied().collect();
            rows.push(name.trim_end_matches(", s").to_owned());
            bars.push(Bar { contender, values });
        }
    }
    (rows, vec![Panel { title: "time, s".to_owned(), bars }])
}

fn draw(title: &str, rows: &[String], panels: &[Panel]) -> Result<String> {
    let count_of = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).max(1);
    let size = (LEFT + PANEL * count_of(panels.len()), ABOVE + BAR * count_of(rows.len()) + BELOW);
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        area.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
        draw_all(&area, title, rows, panels).map_err(|error| anyhow!("{error}"))?;
        area.present().map_err(|error| anyhow!("{error}"))?;
    }
    Ok(picture)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_all(area: &Area<'_>, title: &str, rows: &[String], panels: &[Panel]) -> Drawn {
    let text = |size: i32| TextStyle::from(("sans-serif", size)).color(&BLACK);
    let middle = |horizontal| Pos::new(horizontal, VPos::Center);
    area.draw(&Text::new(title.to_owned(), (10, 18), text(19).pos(middle(HPos::Left))))?;
    let (labels, rest) = area.split_horizontally(LEFT);
    for (row, name) in rows.iter().enumerate() {
        let at = i32::try_from(ABOVE + BAR * u32::try_from(row)? + BAR / 2)?;
        let beside = i32::try_from(LEFT)? - 8;
        labels.draw(&Text::new(name.clone(), (beside, at), text(15).pos(middle(HPos::Right))))?;
    }
    for (area, panel) in rest.split_evenly((1, panels.len())).iter().zip(panels) {
        area.draw(&Text::new(panel.title.clone(), (0, 42), text(15).pos(middle(HPos::Left))))?;
        draw_panel(area, rows.len(), panel)?;
    }
    Ok(())
}

fn draw_panel(area: &Area<'_>, rows: usize, panel: &Panel) -> Drawn {
    let most = panel.bars.iter().flat_map(|bar| &bar.values).copied().fold(0.0, f64::max);
    // Room for the number behind the longest bar.
    let end = if most > 0.0 { most * 1.3 } else { 1.0 };
    let begin = panel.bars.iter().flat_map(|bar| &bar.values).copied().fold(0.0, f64::min);
    let rows = count(rows as u64);
    let mut chart = ChartBuilder::on(area)
        .margin_top(ABOVE)
        .margin_right(20)
        .x_label_area_size(BELOW)
        .build_cartesian_2d(begin..end, rows..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_labels(4)
        .label_style(("sans-serif", 13))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (row, bar) in panel.bars.iter().enumerate() {
        let Some((least, middle, most)) = summary(&bar.values) else { continue };
        let row = count(row as u64);
        let colour = COLOURS[bar.contender % COLOURS.len()];
        let bar = Rectangle::new([(0.0, row + 0.15), (middle, row + 0.85)], colour.filled());
        let spread = PathElement::new([(least, row + 0.5), (most, row + 0.5)], BLACK.stroke_width(1));
        let style = TextStyle::from(("sans-serif", 14)).color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        let number = Text::new(short(middle), (most.max(0.0) + end * 0.02, row + 0.5), style);
        chart.draw_series([bar])?;
        chart.draw_series([spread])?;
        chart.draw_series([number])?;
    }
    Ok(())
}

/// The least, the median and the most.
fn summary(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (*sorted.first()?, *sorted.last()?);
    Some((least, f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]), most))
}

/// With as many digits as one reads.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        less if less < 1.0 => 2,
        less if less < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::{super::report::tests::example, *};

    #[test]
    fn each_step_has_a_bar_in_each_panel_that_knows_it() {
        let plots = plots(&example()).unwrap();
        let [(name, picture)] = &plots[..] else { panic!("{plots:?}") };
        assert_eq!(name, "large");
        for text in
            ["Borealis: comes up", "bare loop: comes up", "its CPU, s", "large: 100 instances, 2 runs"]
        {
            assert!(picture.contains(text), "{text} is not in\n{picture}");
        }
        // Three steps in four panels, but for the CPU and memory of the loop, which are nobody's.
        let bars = |colour: &str| picture.matches(&format!("fill=\"{colour}\" stroke=\"none\"")).count();
        assert_eq!((bars("#0072B2"), bars("#E69F00")), (8, 2), "{picture}");
        // Its wall times: 12 s coming up, 20 s at rest, which is the longest of its panel.
        let widths: Vec<f64> = picture
            .lines()
            .filter(|line| line.contains("#0072B2"))
            .filter_map(|line| line.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert!(widths[1] > 150.0 && (widths[0] / widths[1] - 0.6).abs() < 0.02, "{widths:?}");
    }

    #[test]
    fn a_bar_is_the_median_and_its_line_the_spread() {
        assert_eq!(summary(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(summary(&[3.0, 1.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(summary(&[]), None);
        assert_eq!([0.456, 4.56, 456.0].map(short), ["0.46", "4.6", "456"]);
    }

    #[test]
    fn what_has_no_steps_shows_its_times() {
        let mut report = example();
        report.rounds.iter_mut().for_each(|round| round.phases.clear());
        let plots = plots(&report).unwrap();
        assert!(plots[0].1.contains("time, s") && plots[0].1.contains("start"), "{}", plots[0].1);
    }
}
