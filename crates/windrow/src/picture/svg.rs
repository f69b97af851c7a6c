//! A small writer of SVG: rectangles, lines, paths, circles, and text that is text.

use std::fmt::Write as _;

use super::fonts::Fonts;
use crate::term::text;

/// Space around everything.
pub(super) const MARGIN: f64 = 24.0;
/// Sizes of text, in pixels.
pub(super) const TEXT: f64 = 14.0;
pub(super) const SMALL: f64 = 12.0;
const TITLE: f64 = 21.0;
/// Widest text where a pointer rests.
const HINT: f64 = 600.0;

/// Colours by their part; the name is the class, so that a page around the picture can say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Words.
    Text,
    /// Words beside the point.
    Muted,
    /// Lines of axes.
    Grid,
    /// What is counted.
    Mark,
    /// What is counted together.
    Rest,
    /// A time of which nothing is known.
    Gap,
    /// Paper under words, and words on what is dark.
    Paper,
    /// Words on what is light, whatever the paper.
    Dark,
}

impl Ink {
    fn class(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Muted => "muted",
            Self::Grid => "grid",
            Self::Mark => "mark",
            Self::Rest => "rest",
            Self::Gap => "gap",
            Self::Paper => "paper",
            Self::Dark => "dark",
        }
    }

    fn color(self) -> &'static str {
        match self {
            Self::Text => "#1a1a1a",
            Self::Muted => "#5c5c5c",
            Self::Grid => "#dddddd",
            Self::Mark => "#0072b2",
            Self::Rest => "#8c8c8c",
            Self::Gap => "#ececec",
            Self::Paper => "#ffffff",
            Self::Dark => "#1a1a1a",
        }
    }
}

/// How a line of a chart is drawn; the class lets a page around the picture choose another colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stroke {
    class: &'static str,
    color: &'static str,
    /// Lengths of what is drawn and what is left out; empty for a whole line.
    dashes: &'static str,
}

/// Lines that are told apart by colour, and without it by their dashes.
const SERIES: [Stroke; 4] = [
    Stroke { class: "series1", color: "#0072b2", dashes: "" },
    Stroke { class: "series2", color: "#d55e00", dashes: "9 4" },
    Stroke { class: "series3", color: "#007d5c", dashes: "3 3" },
    Stroke { class: "series4", color: "#a3508c", dashes: "9 3 3 3" },
];

impl Stroke {
    /// What everything else is held against.
    pub(super) const REST: Self = Self { class: "series0", color: "#8c8c8c", dashes: "1 3" };

    /// Of one line of several.
    pub(super) fn of_series(at: usize) -> Self {
        SERIES[at % SERIES.len()]
    }
}

/// On which side of its place a text begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Anchor {
    #[default]
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) size: f64,
    pub(super) ink: Ink,
    pub(super) anchor: Anchor,
    pub(super) bold: bool,
    /// Degrees, clockwise.
    pub(super) turned: f64,
    /// With paper around its letters, over marks.
    pub(super) halo: bool,
}

impl Look {
    pub(super) const TEXT: Self =
        Self { size: TEXT, ink: Ink::Text, anchor: Anchor::Start, bold: false, turned: 0.0, halo: false };
    pub(super) const SMALL: Self = Self { size: SMALL, ink: Ink::Muted, ..Self::TEXT };

    pub(super) fn at(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

/// A rectangle: left, top, width, height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    pub(super) fn holds(&self, x: f64, y: f64) -> bool {
        (self.x..self.x + self.width).contains(&x) && (self.y..self.y + self.height).contains(&y)
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }
}

/// A circle; what it means shows where a pointer rests.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Circle {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) radius: f64,
    pub(super) meaning: String,
}

/// A picture that is being drawn from top to bottom.
#[derive(Debug)]
pub(super) struct Svg<'a> {
    pub(super) fonts: &'a Fonts,
    pub(super) width: f64,
    /// How far down it is drawn.
    pub(super) y: f64,
    title: String,
    about: String,
    body: String,
}

impl<'a> Svg<'a> {
    pub(super) fn new(fonts: &'a Fonts, width: f64) -> Self {
        Self { fonts, width, y: MARGIN, title: String::new(), about: String::new(), body: String::new() }
    }

    /// What the picture is, and of what.
    pub(super) fn head(&mut self, title: &str, about: &str) {
        self.title = title.to_owned();
        self.about = about.to_owned();
        self.text(MARGIN, self.y + TITLE, title, Look { size: TITLE, bold: true, ..Look::TEXT });
        self.text(MARGIN, self.y + TITLE + 24.0, about, Look { ink: Ink::Muted, ..Look::TEXT });
        self.y += TITLE + 42.0;
    }

    /// Writes a text with its base line at `y`; longer than the picture it is cut.
    pub(super) fn text(&mut self, x: f64, y: f64, text: &str, look: Look) {
        self.text_within(x, y, text, look, self.width - 2.0 * MARGIN);
    }

    /// Writes a text without what is hostile in it, cut to `most` pixels.
    pub(super) fn text_within(&mut self, x: f64, y: f64, text: &str, look: Look, most: f64) {
        let cut = self.fonts.cut(&text::plain(text), look.size, most);
        if cut.is_empty() {
            return;
        }
        let anchor = match look.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let bold = if look.bold { " font-weight=\"bold\"" } else { "" };
        let halo = if look.halo {
            " stroke=\"#ffffff\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\""
        } else {
            ""
        };
        let turned = if look.turned == 0.0 {
            String::new()
        } else {
            format!(" transform=\"rotate({} {} {})\"", n(look.turned), n(x), n(y))
        };
        let (class, color) = (look.ink.class(), look.ink.color());
        let over = if look.halo { " over" } else { "" };
        self.put(format_args!(
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" class=\"{class}{over}\" fill=\"{color}\"{anchor}{bold}{halo}{turned}>{}</text>",
            n(x),
            n(y),
            n(look.size),
            escaped(&cut)
        ));
    }

    pub(super) fn rect(&mut self, area: Area, ink: Ink) {
        self.filled_rect(area, ink.class(), ink.color(), None);
    }

    /// A rectangle of any colour; what it means shows where a pointer rests.
    pub(super) fn filled_rect(&mut self, area: Area, class: &str, color: &str, meaning: Option<&str>) {
        let Area { x, y, width, height } = area;
        let meaning = meaning.map(|meaning| format!("<title>{}</title>", self.hint(meaning))).unwrap_or_default();
        self.put(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"{class}\" fill=\"{color}\">{meaning}</rect>",
            n(x),
            n(y),
            n(width.max(0.0)),
            n(height.max(0.0))
        ));
    }

    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), ink: Ink) {
        self.put(format_args!(
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" class=\"line {}\" stroke=\"{}\"/>",
            n(x1),
            n(y1),
            n(x2),
            n(y2),
            ink.class(),
            ink.color()
        ));
    }

    /// A filled shape through these points.
    pub(super) fn shape(&mut self, points: &[(f64, f64)], ink: Ink) {
        let path = path(points);
        self.put(format_args!("<path d=\"{path}Z\" class=\"{}\" fill=\"{}\"/>", ink.class(), ink.color()));
    }

    /// A line through these points.
    pub(super) fn curve(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        if points.is_empty() {
            return;
        }
        let Stroke { class, color, dashes } = stroke;
        let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        let path = path(points);
        self.put(format_args!(
            "<path d=\"{path}\" class=\"curve {class}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"{dashes}/>"
        ));
    }

    /// A light shape through these points, in the colour of a line.
    pub(super) fn shade(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let path = path(points);
        let Stroke { class, color, .. } = stroke;
        self.put(format_args!("<path d=\"{path}Z\" class=\"shade {class}\" fill=\"{color}\" fill-opacity=\"0.18\"/>"));
    }

    /// Circles of one colour, on through which others are seen.
    pub(super) fn circles(&mut self, color: &str, opacity: f64, circles: impl Iterator<Item = Circle>) {
        self.put(format_args!("<g fill=\"{color}\" fill-opacity=\"{}\">", n(opacity)));
        for Circle { x, y, radius, meaning } in circles {
            let meaning = self.hint(&meaning);
            self.put(format_args!(
                "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"><title>{meaning}</title></circle>",
                n(x),
                n(y),
                n(radius)
            ));
        }
        self.put(format_args!("</g>"));
    }

    /// What shows where a pointer rests.
    fn hint(&self, meaning: &str) -> String {
        escaped(&self.fonts.cut(&text::plain(meaning), SMALL, HINT))
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // Into a text nothing fails.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    /// The whole file; `source` says below of what the picture was made.
    pub(super) fn finish(mut self, source: &str) -> String {
        self.text(MARGIN, self.y + 22.0, source, Look::SMALL);
        let (width, height) = (n(self.width), n(self.y + 22.0 + MARGIN));
        let mut whole = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" font-family=\"sans-serif\">\n<title>{}</title>\n<desc>{}</desc>\n",
            escaped(&self.title),
            escaped(&format!("{}. {source}", self.about))
        );
        let (class, color) = (Ink::Paper.class(), Ink::Paper.color());
        let _ = writeln!(whole, "<rect width=\"{width}\" height=\"{height}\" class=\"{class}\" fill=\"{color}\"/>");
        whole + &self.body + "</svg>\n"
    }
}

/// A way through these points.
fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        // Into a text nothing fails.
        let _ = match points.get(i.wrapping_sub(1)) {
            None => write!(path, "M{} {}", n(*x), n(*y)),
            Some((_, before)) if before == y => write!(path, "H{}", n(*x)),
            Some((before, _)) if before == x => write!(path, "V{}", n(*y)),
            Some(_) => write!(path, "L{} {}", n(*x), n(*y)),
        };
    }
    path
}

/// A number with at most one digit behind the point, two when it is small.
pub(super) fn n(number: f64) -> String {
    let text = if number.abs() < 2.0 { format!("{number:.2}") } else { format!("{number:.1}") };
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text as XML has it: markup escaped, and what XML cannot hold left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}
