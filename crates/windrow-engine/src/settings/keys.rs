//! The table of keys.

use windrow_core::clean::OnDuplicate;
use windrow_core::cluster::{Clusters, KMeansRule, MODEL_KINDS};
use windrow_core::pipeline::MOST_FALSE_ALARMS;

use super::key::{Change, Key};
use super::value::{Type, Value};
use super::{CleanProfile, OutputTopics};
use crate::sink::parquet::PagesCopy;
use crate::sink::topics::{MessageKey, MessageTime, ValueShape};
use crate::source::kafka::OnDataLoss;
use crate::source::written::{AskedDelimiter, AskedEncoding, AskedFormat};
use crate::source::{Keep, MessageFormat};

const WEIGHT: Type = Type::Number { min: 0.0, max: 100.0 };

macro_rules! weight {
    ($field:ident, $name:literal, $doc:literal) => {
        Key {
            name: $name,
            flag: None,
            value_name: "WEIGHT",
            ty: WEIGHT,
            change: Change::NewState,
            doc: $doc,
            set: |settings, value| settings.features.$field = value.weight(),
            get: |settings| number(settings.features.$field),
        }
    };
}

/// The shortest decimal number that is this weight.
fn number(weight: f32) -> Value {
    Value::Number(weight.to_string().parse().unwrap_or(0.0))
}

/// Every setting, section by section.
pub const KEYS: &[Key] = &[
    Key {
        name: "source.input",
        flag: Some("input"),
        value_name: "PATH",
        ty: Type::Paths,
        change: Change::NextCommit,
        doc: "Files, directories or globs to read, in this order: CSV or JSON Lines, plain or packed (gzip, zstd; told by content), or Parquet. \
              `generator:rows=N,seed=N` makes rows up. `-` is standard input: exactly once until the process dies, then at most once.",
        set: |settings, value| settings.source.input = value.into_list(),
        get: |settings| Value::List(settings.source.input.clone()),
    },
    Key {
        name: "source.columns",
        flag: Some("columns"),
        value_name: "MAP",
        ty: Type::Text,
        change: Change::NewState,
        doc: "Which column of the input is which, where names differ: `url=landing_page,title=name`. In JSON, the way to it: \
              `url=page.url`; in CSV messages, the place of the field: `url=2,title=3`.",
        set: |settings, value| settings.source.columns = value.into_text(),
        get: |settings| Value::Text(settings.source.columns.clone()),
    },
    Key {
        name: "source.keep",
        flag: Some("keep"),
        value_name: "COLUMNS",
        ty: Type::Keep,
        change: Change::NewState,
        doc: "Other columns of the input that are carried along to every output as text, as read; their numbers are added up for each \
              cluster, exactly: `spend,clicks`. Under another name, in JSON the way to it, in CSV messages the place of the field: \
              `cost=page.cost`, `spend=7`.",
        set: |settings, value| settings.source.keep = Keep::parse(&value.into_list()).unwrap_or_default(),
        get: |settings| Value::List(settings.source.keep.words()),
    },
    Key {
        name: "source.input_format",
        flag: Some("input-format"),
        value_name: "FORMAT",
        ty: Type::Choice(AskedFormat::NAMES),
        change: Change::NewState,
        doc: "How files are written: records of fields under a header, a JSON object a line, or Parquet. `auto`: Parquet by its first \
              bytes; JSON where the first character is `{` or the name ends in .jsonl or .ndjson; else CSV. A file is read on as it \
              was read first.",
        set: |settings, value| settings.source.files.format = AskedFormat::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.source.files.format.name().into()),
    },
    Key {
        name: "source.delimiter",
        flag: Some("delimiter"),
        value_name: "CHAR",
        ty: Type::Choice(AskedDelimiter::NAMES),
        change: Change::NewState,
        doc: "What stands between the fields of CSV files. `auto`: of these the one under which the header names most of our \
              columns; of equals the one that makes most fields, and the comma first.",
        set: |settings, value| settings.source.files.delimiter = AskedDelimiter::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.source.files.delimiter.name().into()),
    },
    Key {
        name: "source.encoding",
        flag: Some("encoding"),
        value_name: "ENCODING",
        ty: Type::Choice(AskedEncoding::NAMES),
        change: Change::NewState,
        doc: "Encoding of files. `auto`: UTF-16 by its byte order mark, or by the zero bytes of four plain characters at the \
              beginning; else UTF-8. Never cp1252 unless it is said: `windrow check --input FILE` says when it is likely.",
        set: |settings, value| settings.source.files.encoding = AskedEncoding::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.source.files.encoding.name().into()),
    },
    Key {
        name: "source.follow",
        flag: Some("follow"),
        value_name: "BOOL",
        ty: Type::Switch,
        change: Change::NextCommit,
        doc: "Follow plain files: wait at their end for more, read what is renamed to its end and then what has its name, take new files of \
              folders and globs. A last line waits for its line end. Ends when it is stopped.",
        set: |settings, value| settings.source.follow = value.is_on(),
        get: |settings| Value::Switch(settings.source.follow),
    },
    Key {
        name: "source.topic",
        flag: Some("from-topic"),
        value_name: "TOPIC",
        ty: Type::Text,
        change: Change::NextCommit,
        doc: "Kafka topic of the pages.",
        set: |settings, value| settings.source.topic = value.into_text(),
        get: |settings| Value::Text(settings.source.topic.clone()),
    },
    Key {
        name: "source.format",
        flag: Some("message-format"),
        value_name: "FORMAT",
        ty: Type::Choice(MessageFormat::NAMES),
        change: Change::NewState,
        doc: "How the messages of the topic are written: a JSON object each, or a CSV record each.",
        set: |settings, value| settings.source.format = MessageFormat::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.source.format.name().into()),
    },
    Key {
        name: "source.from",
        flag: Some("from"),
        value_name: "START",
        ty: Type::Text,
        change: Change::NextCommit,
        doc: "Where to begin with a topic that was never read: `earliest` (all that is there), `latest` (what comes next) or a time. \
              Asked for then, and never again.",
        set: |settings, value| settings.source.from = value.into_text(),
        get: |settings| Value::Text(settings.source.from.clone()),
    },
    Key {
        name: "source.on_data_loss",
        flag: Some("on-data-loss"),
        value_name: "WHAT",
        ty: Type::Choice(OnDataLoss::NAMES),
        change: Change::NextCommit,
        doc: "What to do when messages that were never read are gone from the topic: stop, or go on with the earliest or the latest.",
        set: |settings, value| settings.source.on_data_loss = OnDataLoss::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.source.on_data_loss.name().into()),
    },
    Key {
        name: "clean.required",
        flag: Some("required"),
        value_name: "COLUMNS",
        ty: Type::Columns,
        change: Change::NewState,
        doc: "Columns that must hold something; a row in which one of them is blank is a reject.",
        set: |settings, value| settings.clean.rules.required = value.into_list(),
        get: |settings| Value::List(settings.clean.rules.required.clone()),
    },
    Key {
        name: "clean.max_length",
        flag: Some("max-length"),
        value_name: "LENGTHS",
        ty: Type::Lengths,
        change: Change::NewState,
        doc: "Most characters of all columns together, and of each: `20000,title=300,description=5000`. A longer row is a reject. Empty: any.",
        set: |settings, value| settings.clean.rules.max_length = value.into_text().parse().unwrap_or_default(),
        get: |settings| Value::Text(settings.clean.rules.max_length.to_string()),
    },
    Key {
        name: "clean.languages",
        flag: Some("languages"),
        value_name: "CODES",
        ty: Type::Languages,
        change: Change::NewState,
        doc: "Languages that pages may be in, by their codes: `en`, `de`. A page whose title and description are surely in another one is a \
              reject. Empty: any, and none is identified, which takes much longer than all the rest.",
        set: |settings, value| settings.clean.rules.languages = value.into_list(),
        get: |settings| Value::List(settings.clean.rules.languages.clone()),
    },
    Key {
        name: "clean.duplicates",
        flag: Some("duplicates"),
        value_name: "ACTION",
        ty: Type::Choice(&OnDuplicate::NAMES),
        change: Change::NewState,
        doc: "What becomes of a page whose url, title, keywords and description are those of one of the last pages: `keep` does not look, \
              `count` counts it, `reject` makes a reject of it.",
        set: |settings, value| settings.clean.rules.duplicates.action = OnDuplicate::named(&value.into_text()),
        get: |settings| Value::Text(settings.clean.rules.duplicates.action.name().into()),
    },
    Key {
        name: "clean.duplicates_window",
        flag: Some("duplicates-window"),
        value_name: "PAGES",
        ty: Type::Count { min: 1, max: 100_000_000 },
        change: Change::NewState,
        doc: "Among how many of the last pages duplicates are looked for. Each takes some 40 bytes of memory, and 8 of each snapshot.",
        set: |settings, value| settings.clean.rules.duplicates.window = value.count(),
        get: |settings| Value::Count(settings.clean.rules.duplicates.window),
    },
    Key {
        name: "clean.profile",
        flag: Some("profile"),
        value_name: "PROFILE",
        ty: Type::Choice(CleanProfile::NAMES),
        change: Change::NextCommit,
        doc: "What `windrow clean` goes by in place of the rules above. `original`: what preprocessing.py asked of a row. A run never looks at it.",
        set: |settings, value| settings.clean.profile = CleanProfile::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.clean.profile.name().into()),
    },
    Key {
        name: "output.out",
        flag: Some("out"),
        value_name: "DIR",
        ty: Type::Path,
        change: Change::NextCommit,
        doc: "Directory of the output: Parquet under pages/, rejects/ and lineage/.",
        set: |settings, value| settings.output.out = value.into_text().into(),
        get: |settings| Value::Text(settings.output.out.display().to_string()),
    },
    Key {
        name: "output.state",
        flag: Some("state"),
        value_name: "DIR",
        ty: Type::Path,
        change: Change::NextCommit,
        doc: "Directory of the state. Empty: `.windrow` in the output.",
        set: |settings, value| {
            let path = value.into_text();
            settings.output.state = (!path.is_empty()).then(|| path.into());
        },
        get: |settings| Value::Text(settings.output.state.as_ref().map(|path| path.display().to_string()).unwrap_or_default()),
    },
    Key {
        name: "output.copy",
        flag: None,
        value_name: "COPY",
        ty: Type::Choice(PagesCopy::NAMES),
        change: Change::NextCommit,
        doc: "What lies beside our own Parquet, in OUT/output. `original`: the pages with exactly the original's columns `url`, \
              `main_domain`, `cluster`, `id`, `creation_time` and `description`.",
        set: |settings, value| settings.output.copy = PagesCopy::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.output.copy.name().into()),
    },
    Key {
        name: "output.roll_rows",
        flag: Some("roll-rows"),
        value_name: "N",
        ty: Type::Count { min: 0, max: u64::MAX },
        change: Change::NextCommit,
        doc: "Commit, and make the Parquet files visible, after this many rows. 0: no such limit.",
        set: |settings, value| settings.output.roll_rows = value.count(),
        get: |settings| Value::Count(settings.output.roll_rows),
    },
    Key {
        name: "output.roll_size",
        flag: Some("roll-size"),
        value_name: "SIZE",
        ty: Type::Size { min: 1 << 16, max: u64::MAX },
        change: Change::NextCommit,
        doc: "Commit after this much Parquet.",
        set: |settings, value| settings.output.roll_size = value.count(),
        get: |settings| Value::Size(settings.output.roll_size),
    },
    Key {
        name: "output.roll_seconds",
        flag: Some("roll-seconds"),
        value_name: "N",
        ty: Type::Count { min: 1, max: 86_400 },
        change: Change::NextCommit,
        doc: "Commit after this many seconds.",
        set: |settings, value| settings.output.roll_seconds = value.count(),
        get: |settings| Value::Count(settings.output.roll_seconds),
    },
    Key {
        name: "output.kafka",
        flag: Some("output"),
        value_name: "WHERE",
        ty: Type::Choice(OutputTopics::NAMES),
        change: Change::NewState,
        doc: "Which topics pages go to besides Parquet: one a cluster, one keyed by cluster, or none. `auto`: none without brokers, \
              else one a cluster up to 200 clusters.",
        set: |settings, value| settings.output.kafka = OutputTopics::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.output.kafka.name().into()),
    },
    Key {
        name: "output.keyed_topic",
        flag: None,
        value_name: "TOPIC",
        ty: Type::Text,
        change: Change::NewState,
        doc: "The one topic of all clusters, where that is used.",
        set: |settings, value| settings.output.keyed_topic = value.into_text(),
        get: |settings| Value::Text(settings.output.keyed_topic.clone()),
    },
    Key {
        name: "output.value",
        flag: None,
        value_name: "SHAPE",
        ty: Type::Choice(ValueShape::NAMES),
        change: Change::NextCommit,
        doc: "What the message of a page holds: everything known of it, or exactly the original's four fields.",
        set: |settings, value| settings.output.value = ValueShape::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.output.value.name().into()),
    },
    Key {
        name: "output.key",
        flag: None,
        value_name: "KEY",
        ty: Type::Choice(MessageKey::NAMES),
        change: Change::NextCommit,
        doc: "What a page is keyed by in the topics of clusters: its registrable domain, so that the pages of a site stay in order in one \
              partition, or its record id, so that partitions fill evenly. The one topic of all clusters is keyed by cluster.",
        set: |settings, value| settings.output.key = MessageKey::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.output.key.name().into()),
    },
    Key {
        name: "output.message_time",
        flag: None,
        value_name: "TIME",
        ty: Type::Choice(MessageTime::NAMES),
        change: Change::NextCommit,
        doc: "Timestamp of a page's message: when it was sent, or the page's creation time. Brokers delete by it: old pages would go \
              at once.",
        set: |settings, value| settings.output.message_time = MessageTime::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.output.message_time.name().into()),
    },
    Key {
        name: "output.epoch_ms",
        flag: None,
        value_name: "N",
        ty: Type::Count { min: 10, max: 60_000 },
        change: Change::NextCommit,
        doc: "Milliseconds after which what came in becomes visible in the topics, in one transaction; at most half of \
              `transaction.timeout.ms` under `[kafka]`, which is 60000 when nobody sets it.",
        set: |settings, value| settings.output.epoch_ms = value.count(),
        get: |settings| Value::Count(settings.output.epoch_ms),
    },
    Key {
        name: "output.counts_file",
        flag: Some("counts-file"),
        value_name: "FILE",
        ty: Type::Path,
        change: Change::NextCommit,
        doc: "File that `windrow clusters --from-topics` keeps its counts in, as the original's counter does: a number for each topic, \
              and names from 1. Empty: none.",
        set: |settings, value| {
            let path = value.into_text();
            settings.output.counts_file = (!path.is_empty()).then(|| path.into());
        },
        get: |settings| {
            Value::Text(settings.output.counts_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default())
        },
    },
    Key {
        name: "output.topic_prefix",
        flag: None,
        value_name: "TEXT",
        ty: Type::Text,
        change: Change::NewState,
        doc: "What the topic of a cluster is called, before the number of its slot.",
        set: |settings, value| settings.output.topic_prefix = value.into_text(),
        get: |settings| Value::Text(settings.output.topic_prefix.clone()),
    },
    Key {
        name: "produce.value",
        flag: None,
        value_name: "SHAPE",
        ty: Type::Choice(ValueShape::NAMES),
        change: Change::NextCommit,
        doc: "How `windrow produce` writes messages: plain JSON, texts and null; or exactly as the original's producer, whole numbers as \
              ids and bare NaN for what is empty.",
        set: |settings, value| settings.produce.value = ValueShape::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.produce.value.name().into()),
    },
    Key {
        name: "model.kind",
        flag: Some("model"),
        value_name: "KIND",
        ty: Type::Choice(&MODEL_KINDS),
        change: Change::NewState,
        doc: "The algorithm. `two-level`: fine groups found on-line, gathered into lasting clusters. `kmeans`: streaming K-Means on pages. \
              `original`: what Windrow replaces, K-Means over hashed main domains, fitted anew for each block.",
        set: |settings, value| settings.model.kind = value.into_text(),
        get: |settings| Value::Text(settings.model.kind.clone()),
    },
    Key {
        name: "model.clusters",
        flag: Some("clusters"),
        value_name: "K",
        ty: Type::Clusters,
        change: Change::NewState,
        doc: "Most clusters alive at a time. `auto`, of `two-level`: as many as the stream has groups that hold, up to 1,000: one opens \
              with the second page of what is far from all others, and ends when it has been light for a while.",
        set: |settings, value| {
            settings.model.clusters = if let Value::Count(_) = value { value.count_u32().into() } else { Clusters::Auto };
        },
        get: |settings| match settings.model.clusters {
            Clusters::AtMost(n) => Value::Count(n.into()),
            Clusters::Auto => Value::Text(Clusters::AUTO.into()),
        },
    },
    Key {
        name: "model.seed",
        flag: Some("seed"),
        value_name: "N",
        ty: Type::Count { min: 0, max: u64::MAX },
        change: Change::NewState,
        doc: "Seed of everything that the model draws by chance.",
        set: |settings, value| settings.model.seed = value.count(),
        get: |settings| Value::Count(settings.model.seed),
    },
    Key {
        name: "model.max_micro_clusters",
        flag: None,
        value_name: "N",
        ty: Type::Count { min: 1, max: 10_000_000 },
        change: Change::NewState,
        doc: "Most micro-clusters alive at a time; the faintest go first.",
        set: |settings, value| settings.model.max_micro_clusters = value.count_u32(),
        get: |settings| Value::Count(settings.model.max_micro_clusters.into()),
    },
    Key {
        name: "model.max_terms",
        flag: None,
        value_name: "N",
        ty: Type::Count { min: 1_000, max: 1_000_000_000 },
        change: Change::NewState,
        doc: "Most distinct terms remembered at a time; the rarest go first.",
        set: |settings, value| settings.model.max_terms = value.count_u32(),
        get: |settings| Value::Count(settings.model.max_terms.into()),
    },
    Key {
        name: "model.kmeans.half_life",
        flag: None,
        value_name: "HALF_LIFE",
        ty: Type::HalfLife,
        change: Change::NewState,
        doc: "Of `kmeans`: in what a page's weight halves. In rows or batches, which are Spark's time units `points` and `batches`, or in \
              model time: what the pages' own times say.",
        set: |settings, value| {
            // Checked already: what is no half-life never comes here.
            if let Ok(half_life) = value.into_text().parse() {
                settings.model.kmeans.half_life = half_life;
            }
        },
        get: |settings| Value::Text(settings.model.kmeans.half_life.to_string()),
    },
    Key {
        name: "model.kmeans.batch",
        flag: None,
        value_name: "N",
        ty: Type::Count { min: 1, max: 100_000 },
        change: Change::NewState,
        doc: "Of `kmeans`: rows of a block; centres move, are born and die after each.",
        set: |settings, value| settings.model.kmeans.batch = value.count_u32(),
        get: |settings| Value::Count(settings.model.kmeans.batch.into()),
    },
    Key {
        name: "model.kmeans.births",
        flag: None,
        value_name: "N",
        ty: Type::Count { min: 0, max: 1_000 },
        change: Change::NewState,
        doc: "Of `kmeans`, rule `spherical`: most births a block, of pages that no centre explains, farthest first.",
        set: |settings, value| settings.model.kmeans.births = value.count_u32(),
        get: |settings| Value::Count(settings.model.kmeans.births.into()),
    },
    Key {
        name: "model.kmeans.rule",
        flag: None,
        value_name: "RULE",
        ty: Type::Choice(KMeansRule::NAMES),
        change: Change::NewState,
        doc: "Of `kmeans`: `spherical`, by cosine, with births and deaths; or `spark`, the update rule of Spark MLlib's \
              StreamingKMeans, by Euclidean distance.",
        set: |settings, value| settings.model.kmeans.rule = KMeansRule::named(&value.into_text()).unwrap_or_default(),
        get: |settings| Value::Text(settings.model.kmeans.rule.name().into()),
    },
    Key {
        name: "model.original.batch",
        flag: None,
        value_name: "N",
        ty: Type::Count { min: 2, max: 1_000_000 },
        change: Change::NewState,
        doc: "Of `original`: rows of a block, which is fitted by itself. Where rows come live a block ends early when they do not come fast \
              enough: half a second, or an epoch of the topics.",
        set: |settings, value| settings.model.original.batch = value.count_u32(),
        get: |settings| Value::Count(settings.model.original.batch.into()),
    },
    Key {
        name: "model.original.features",
        flag: None,
        value_name: "N",
        ty: Type::Count { min: 1, max: 1_000 },
        change: Change::NewState,
        doc: "Of `original`: features that main domains are hashed into. As many clusters as features are a hash.",
        set: |settings, value| settings.model.original.features = value.count_u32(),
        get: |settings| Value::Count(settings.model.original.features.into()),
    },
    Key {
        name: "watch.false_alarms",
        flag: Some("false-alarms"),
        value_name: "N",
        ty: Type::Number { min: 0.0, max: MOST_FALSE_ALARMS },
        change: Change::NewState,
        doc: "How many false alarms about drift are expected in a million pages, of all clusters and measures together, as long as pages come \
              in no order. More: alarms come earlier, and of smaller changes. 0: no alarms.",
        set: |settings, value| settings.watch.false_alarms = value.number(),
        get: |settings| Value::Number(settings.watch.false_alarms),
    },
    weight!(title, "features.title", "Weight of the words of the title."),
    weight!(keywords, "features.keywords", "Weight of the words of the keywords."),
    weight!(description, "features.description", "Weight of the words of the description."),
    weight!(path, "features.path", "Weight of the words of the URL's path."),
    weight!(host, "features.host", "Weight of the URL's host."),
    weight!(domain, "features.domain", "Weight of the registrable domain."),
    weight!(shape, "features.shape", "Weight of the path's shape, with ids and hashes masked."),
    weight!(template, "features.template", "Weight of the URL's template, as it was learnt of its site."),
    Key {
        name: "run.threads",
        flag: Some("threads"),
        value_name: "N",
        ty: Type::Count { min: 0, max: 1_024 },
        change: Change::NextCommit,
        doc: "Threads that parse and prepare rows; never changes an answer. 0: one a core.",
        set: |settings, value| settings.run.threads = usize::try_from(value.count()).unwrap_or(0),
        get: |settings| Value::Count(settings.run.threads as u64),
    },
    Key {
        name: "limits.memory",
        flag: Some("memory"),
        value_name: "SIZE",
        ty: Type::Size { min: 32 << 20, max: u64::MAX },
        change: Change::NextCommit,
        doc: "Bytes that rows and pages under way may take; reading waits when it is full. With topics it should be 8MB at least for each \
              partition of the input. An eighth of it, from 8MB to 64MB, holds what waits for brokers, and bounds the longest message.",
        set: |settings, value| settings.limits.memory = value.count(),
        get: |settings| Value::Size(settings.limits.memory),
    },
    Key {
        name: "limits.max_record",
        flag: None,
        value_name: "SIZE",
        ty: Type::Size { min: 1 << 10, max: 1 << 30 },
        change: Change::NewState,
        doc: "Longest record; a longer one is a reject.",
        set: |settings, value| settings.limits.max_record = value.count(),
        get: |settings| Value::Size(settings.limits.max_record),
    },
    Key {
        name: "limits.free_disk",
        flag: None,
        value_name: "SIZE",
        ty: Type::Size { min: 0, max: u64::MAX },
        change: Change::NextCommit,
        doc: "Room that stays free on the disks of output and state: a run does not begin with less, and one that goes on commits what it \
              has learnt and waits until there is more. 0: it waits when a disk is full.",
        set: |settings, value| settings.limits.free_disk = value.count(),
        get: |settings| Value::Size(settings.limits.free_disk),
    },
    Key {
        name: "limits.max_unpacked",
        flag: None,
        value_name: "N",
        ty: Type::Count { min: 0, max: 1_000_000 },
        change: Change::NextCommit,
        doc: "Bytes that may come of one byte of a gzip or zstd file, in each 64MB that it unpacks to; where more come, it is refused as a \
              bomb. Pages pack to a third or a tenth. 0: any number.",
        set: |settings, value| settings.limits.max_unpacked = value.count(),
        get: |settings| Value::Count(settings.limits.max_unpacked),
    },
];
