/* The page's table, over the data block that audit/report/html/data.py packs and explains.

   Without this script the page shows static tables; with it they are hidden on screen and kept for paper. Whatever
   fails here ends in `giveUp`, which shows them again. Texts become text nodes only, never markup. */
"use strict";
(() => {
  const PAGE = 100;
  const ROW = "\x7f", ITEM = "\x9e", NULL = "\x8f", SAME = "\x80", LEFT_OUT = "\x81"; // see data.py
  const root = document.documentElement;
  root.classList.add("live"); // at once, before the browser lays out tables that nobody will see

  const byId = (id) => document.getElementById(id);
  const { format: number } = new Intl.NumberFormat("en-US");
  const counted = (count, one) => `${number(count)} ${one}${count === 1 ? "" : "s"}`;

  /* ---- data ---- */

  let hints, blocks, reasonOf, notesOf, column;

  async function load() {
    const holder = byId("data");
    const packed = holder.textContent;
    holder.remove();
    blocks = [];
    for await (const line of linesOf(bytesOf(packed))) {
      if (!hints) hints = JSON.parse(line);
      else blocks.push({ texts: JSON.parse(line), rows: [], size: Math.min(hints.block, hints.total - blocks.length * hints.block) });
    }
    column = Object.fromEntries(hints.fields.map((name, place) => [name, place]));
    reasonOf = Uint8Array.from(all("reason"));
    notesOf = Uint32Array.from(all("notes"));
    if (reasonOf.length !== hints.total) throw new Error("the data block is not whole");
  }

  /** One after the other: of a million users a single text would be longer than a browser lets it be. */
  async function* linesOf(gzipped) {
    const texts = new Response(gzipped).body.pipeThrough(new DecompressionStream("gzip")).pipeThrough(new TextDecoderStream()).getReader();
    let begun = [];
    for (let { value, done } = await texts.read(); !done; { value, done } = await texts.read()) {
      const [end, ...lines] = value.split("\n");
      begun.push(end);
      for (const line of lines) {
        yield begun.join("");
        begun = [line];
      }
    }
    yield begun.join("");
  }

  function bytesOf(base64) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    const binary = atob(base64);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  }

  function rowsOf(block, name) {
    return (block.rows[column[name]] ??= parted(block, name));
  }

  /** A text that stands alone is that of all rows of the block. */
  function parted(block, name) {
    const rows = block.texts[column[name]].split(ROW);
    return rows.length === block.size ? rows : Array(block.size).fill(rows[0]);
  }

  /** A hundred thousand rows taken apart are not worth keeping. */
  const forget = () => blocks.forEach((block) => (block.rows = []));

  const all = (name) => blocks.flatMap((block) => parted(block, name));
  const at = (row, name) => rowsOf(blocks[Math.floor(row / hints.block)], name)[row % hints.block];
  const statusOf = (row) => hints.reasons[reasonOf[row]].status;
  const notes = (row) => hints.notes.filter((_, bit) => notesOf[row] & (1 << bit));

  /** Microseconds since 1970 for each packed date; a text where it is none, null where there is nothing. */
  function moments(packed) {
    let before = 0;
    return packed.map((text) => {
      if (text === "-") return null;
      if (text[0] === "~") return text.slice(1);
      return (before += Math.round(text * 1e6));
    });
  }

  function iso(moment) {
    if (typeof moment !== "number") return moment;
    const rest = ((moment % 1e6) + 1e6) % 1e6;
    const seconds = new Date((moment - rest) / 1e3).toISOString().slice(0, 19);
    return `${seconds}${rest ? `.${String(rest).padStart(6, "0")}` : ""}Z`;
  }

  /** One of `others` where `text` is a packed reference, else what `read` makes of it. */
  const resolved = (text, others, read) => (text >= "\x80" && text <= "\x84" ? others[text.charCodeAt(0) - 0x80] : read(text));
  const same = (text) => text;

  function versionMoments(row) {
    const packed = at(row, "version_dates");
    const made = packed ? moments(packed.split(ITEM)) : [];
    const [recorded, latest, affected] = ["recorded_at", "latest_at", "affected_at"].map((name) => resolved(at(row, name), made, (text) => moments([text])[0]));
    return { made, recorded, latest, affected };
  }

  /** How long the user had been affected when the run was made; NaN where that is not known. */
  function daysAffected(affected) {
    const lag = typeof affected === "number" ? (Date.parse(hints.now) * 1e3 - affected) / 864e8 : NaN;
    return lag < 0 ? 0 : lag;
  }

  /** A training as `_training` packs it, with what stands for something else put in; null where there is none. */
  function trainingOf(packed, get) {
    if (!packed) return null;
    const [id, status, weights, trigger, error, ...dates] = packed.split(ITEM);
    const [created, completed] = moments(dates);
    const whole = (text, name) => (text === SAME ? get(name) : text);
    return {
      id: id === LEFT_OUT ? "" : whole(id, "training_id"), status: status || "succeeded", error,
      weights: whole(weights, "lora_weights_url"), trigger_word: whole(trigger, "trigger_word"),
      created_at: iso(created) || "", completed_at: iso(completed) || "",
    };
  }

  function originsOf(get) {
    if (!get("evidence")) return null;
    const latest = trainingOf(get("made_latest"), get);
    const current = get("current") === SAME ? latest : trainingOf(get("current"), get);
    return { evidence: get("evidence"), current, latest, later: trainingOf(get("later"), get) };
  }

  /** Everything that is known of a user, under the names of the JSON report. */
  function userAt(row) {
    const get = (name) => at(row, name);
    const { made, recorded, latest, affected } = versionMoments(row);
    const others = get("others").split(ITEM);
    const ids = made.map((_, place) => (place ? others[place - 1] : get("newest")));
    const known = ids.length ? ids : [get("newest")]; // of whom a training settles only the latest is known
    const [updated, created, completed] = moments([get("updated_at"), get("created_at"), get("completed_at")]);
    const user = Object.fromEntries(hints.fields.slice(0, column.detail + 1).map((name) => [name, get(name)]));
    const odd = get("odd") ? JSON.parse(get("odd")) : { guard: [] };
    const number = (name) => (get(name) === "" ? null : Number(get(name)));
    const current = get("recorded");
    return Object.assign(user, {
      row, odd, reason: hints.reasons[reasonOf[row]], notes: notes(row), baseline: get("baseline"),
      accepted: get("accepted"), because: get("because"), author: get("author"),
      absent: current === NULL, fix: get("fix"), current_version: current === NULL ? "" : resolved(current, known, same),
      current_version_created_at: iso(recorded) || "",
      latest_version: resolved(get("latest"), known, same), latest_version_created_at: iso(latest) || "",
      versions_behind: number("behind"), total: number("total"), older: number("older_completed"), models: number("other_models"),
      versions: ids.map((id, place) => ({ id, made: iso(made[place]) || "" })),
      updated_at: iso(updated) || "", created_at: iso(created) || "", completed_at: iso(completed) || "",
      shared_with: get("shared_with") ? get("shared_with").split(ITEM) : [], shared: number("shared_with_count"),
      affected_since: iso(affected) || "", weights_checked: get("weights_checked"), unfinished: get("unfinished") ? JSON.parse(get("unfinished")) : null,
      origins: originsOf(get), days: daysAffected(affected), page: odd.page ?? pageOf(user.replicate_model_id), sql: odd.sql ?? sqlOf(user.user_id),
    });
  }

  const MODEL = /^[\w-][\w.-]*\/[\w-][\w.-]*$/;
  const pageOf = (model) => (MODEL.test(model.trim()) ? `https://replicate.com/${model.trim()}` : "");
  const sqlOf = (id) => {
    const literal = id.replaceAll("'", "''");
    const quoted = id.includes("\\") ? `E'${literal.replaceAll("\\", "\\\\")}'` : `'${literal}'`;
    return hints.sql.join(quoted);
  };

  /* ---- words: the same as audit/hints.py and audit/report/html_words.py say; tests compare them ---- */

  function shortened(text, limit) {
    if (text.length <= limit) return text;
    const points = [...text];
    if (points.length <= limit) return text;
    return `${points.slice(0, limit).join("")}… (${number(points.length - limit)} more characters)`;
  }

  const head = (text) => (text.length > 120 && [...text].length > 120 ? `${[...text].slice(0, 120).join("")}…` : text);
  const instant = (text) => (text[10] === "T" && text.length > 18 ? `${text.slice(0, 10)} ${text.slice(11, 19)} UTC` : text);
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const day = (text) => (/^\d{4}-(0[1-9]|1[0-2])-\d\d/.test(text) ? `${Number(text.slice(8, 10))} ${MONTHS[text.slice(5, 7) - 1]} ${text.slice(0, 4)}` : text);
  /** The first eight of a version's hash; what is no hash as it is. */
  const digits = (version) => {
    const bare = version.trim(), text = bare.slice(bare.lastIndexOf(":") + 1);
    return text.length > 20 ? [...text.slice(0, 16)].slice(0, 8).join("") : head(bare);
  };
  const days = (lag) => (lag < 1 ? "less than a day" : counted(Math.floor(lag), "day"));

  function others(user) {
    const more = user.shared - user.shared_with.length;
    return user.shared_with.join(", ") + (more > 0 ? ` and ${number(more)} more` : "");
  }

  function hidden(models) {
    if (models === null) return hints.hidden;
    if (!models) return "All of them are of this model.";
    return `${models === 1 ? "1 other model is" : `${number(models)} other models are`} among them, and not judged. If all are in use: ${hints.per_model}.`;
  }

  function values(user) {
    const behind = user.versions_behind, unknown = "(not known)";
    const plain = {
      who: user.email || user.user_id,
      model: user.replicate_model_id || "(none)",
      recorded: user.current_version || "(none)",
      latest: user.latest_version || unknown,
      behind: behind === null ? unknown : `${behind} version${behind === 1 ? "" : "s"}`,
      page: user.page || "(no page: the model id is not owner/name)",
      sql: user.sql,
      detail: user.detail || unknown,
      trigger: user.trigger_word || "(not stored)",
      scale: user.lora_scale || "(not stored)",
      weights: user.lora_weights_url || "(not stored)",
      others: others(user),
      failure: user.later_failure_reason || "(no reason recorded)",
      row: user.model_row_id,
      row_status: user.training_status || "(null)",
      began: user.unfinished?.began || unknown,
      training: user.training_id || "(not stored)",
      hidden: hidden(user.models),
      made_latest: user.origins?.latest?.id || unknown,
      real_weights: user.origins?.latest?.weights || unknown,
      current_weights: user.origins?.current?.weights || unknown,
      trained_trigger: user.origins?.current?.trigger_word || unknown,
      ...hints.names,
    };
    return Object.fromEntries(Object.entries(plain).map(([name, text]) => [name, shortened(text, 600)]));
  }

  const nameOf = (user) => (!hints.redacted && user.email.trim() ? user.email : user.user_id);

  /** Why this verdict, in a sentence: `why` in users.py. */
  function why(user) {
    const made = (version, date) => (date ? `${version} of ${day(date)}` : version);
    const stored = digits(user.current_version), latest = digits(user.latest_version), behind = user.versions_behind;
    if (user.reason.code === "outdated_version" && stored && latest) {
      const newer = behind ? `; ${counted(behind, "newer version")} exist${behind === 1 ? "s" : ""}` : "";
      return `The product uses version ${made(stored, user.current_version_created_at)}${newer}. The latest is ${made(latest, user.latest_version_created_at)}.`;
    }
    if (user.reason.status === "up_to_date") return `The stored version, ${stored || latest}, is the latest one.`;
    return `${user.reason.title}${user.detail ? ` (${shortened(user.detail, 300)})` : ""}. ${user.reason.meaning}`.replaceAll("`", "");
  }

  const link = (user) => {
    const file = decodeURIComponent(location.pathname.split("/").pop()) || "report.html";
    return `${file}#${new URLSearchParams([["user", user.user_id], ...(apart() ? [["line", at(user.row, apart())]] : [])])}`;
  };

  /** Plain text, for a ticket. */
  function ticket(user) {
    return [
      nameOf(user) === user.user_id ? user.user_id : `${nameOf(user)} (${user.user_id})`,
      why(user),
      user.days >= 0 && `Affected since ${day(user.affected_since)} (${days(user.days)})`,
      `Stored version: ${user.current_version || "none"}`,
      `Latest version: ${user.latest_version || "not known"}`,
      user.fix && `Fix: ${user.fix}`,
      `Report: ${link(user)}`,
    ].filter(Boolean).join("\n");
  }

  const filled = (template, known) => template.replace(/\{(\w+)\}/g, (_, name) => known[name]);

  /** [before the hash, equal, different; equal, different; sentence] or null: `html_words.comparison`. */
  function comparison(user) {
    if (user.odd.compared !== undefined) return user.odd.compared;
    const recorded = user.current_version, latest = user.latest_version;
    if (!recorded.trim() || !latest) return null;
    const bare = recorded.trimEnd();
    const start = Math.max(bare.lastIndexOf(":") + 1, bare.length - bare.trimStart().length);
    const hash = recorded.slice(start), size = hash.trim().length;
    const one = hash.toLowerCase(), other = latest.toLowerCase();
    let length = 0;
    while (length < one.length && length < other.length && one[length] === other[length]) length++;
    const unqualified = recorded.trim().replace(/^[\w-][\w.-]*\/[\w-][\w.-]*:/, "").trim().toLowerCase();
    let sentence = `They differ from digit ${length + 1} on.`;
    if (length === size && size === latest.length) sentence = "They are equal.";
    else if (length && length === size) sentence = `What is recorded is only the first ${counted(length, "digit")} of the latest.`;
    else if (!/^[0-9a-f]{64}$/.test(unqualified)) sentence = "The stored version is not a version hash.";
    else if (length < 4) sentence = "Two different versions.";
    return [recorded.slice(0, start), hash.slice(0, length), hash.slice(length), latest.slice(0, length), latest.slice(length), sentence];
  }

  /** The checklist's values, and whether each is as it should be: `hints.checklist`. */
  function checks(user, known) {
    const noted = (...codes) => !user.notes.some((note) => codes.includes(note.code));
    const unless = (name, good) => (hints.missing.includes(name) ? null : good);
    const good = [
      user.latest_version ? user.reason.status === "up_to_date" : null,
      unless("trigger_word", noted("missing_trigger_word", "trigger_word_differs")),
      unless("lora_scale", noted("unusual_lora_scale")),
      unless("lora_weights_url", noted("missing_weights_url", "guessed_weights_url", "weights_url_of_another_version") && (user.weights_checked ? true : null)),
      null,
    ];
    return hints.checks.map((check, place) => ({
      question: check.question, value: filled(check.value, known), advice: filled(check.advice, known), good: good[place],
    }));
  }

  /* ---- building ---- */

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child || child === 0));
    return element;
  }

  /** Our own hint table's text: what stands between backticks is code. */
  const ticked = (text) => text.split("`").map((part, place) => (place % 2 ? make("code", null, part) : part));
  const list = (items) => items.length && make("ol", null, ...items.map((item) => make("li", null, item)));

  const { format: local } = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

  function localTime(text) {
    const date = new Date(text);
    return isNaN(date) ? null : `${local(date)} (your time)`;
  }

  function time(text, shown) {
    if (!text) return "";
    const title = text[10] === "T" && localTime(text);
    return title ? make("time", { datetime: `${text.slice(0, 19)}Z`, title }, shown) : shown;
  }

  function copyButton(text, what, label = "Copy") {
    return make("button", { type: "button", class: "copy", "aria-label": label === "Copy" ? `Copy ${what}` : what && `${label} ${what}`, onclick: (event) => copy(text, event.currentTarget) }, label);
  }

  async function copy(text, button) {
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch { // no permission: an older browser, a frame, a policy
      const area = make("textarea", { class: "hidden", "aria-hidden": "true", tabindex: "-1" });
      area.value = text;
      button.after(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
      button.focus();
    }
    const label = (button.dataset.label ??= button.textContent);
    button.textContent = done ? "Copied" : "Not allowed";
    if (byId("said")) byId("said").textContent = done ? "Copied" : "Copying is not allowed here";
    setTimeout(() => (button.textContent = label), 1500);
  }

  const absent = (text) => make("span", { class: "absent" }, text);
  const away = (page, text) => (page.startsWith("https://replicate.com/") ? make("a", { href: page, rel: "noopener noreferrer" }, text) : text);

  /* ---- the rows ---- */

  const MARKS = { new: "New", known: "Known", resolved: "Resolved" };
  const COLUMNS = 7;
  let owner;

  function tableRow(row) {
    const user = userAt(row), open = row === state.open, { status, title } = user.reason, name = head(nameOf(user));
    const toggle = make("button", { type: "button", class: "open", title: name, "aria-expanded": String(open), "aria-controls": open && "sheet", "data-row": row }, name);
    const marks = [user.baseline && MARKS[user.baseline], user.unfinished?.title && `and: ${user.unfinished.title}`, user.accepted && "Accepted", !user.accepted && status === "up_to_date" && user.notes.length && counted(user.notes.length, "note")];
    const model = head(user.replicate_model_id), part = hints.per === "row" ? `row ${user.model_row_id}` : "";
    const recorded = digits(user.current_version) || (user.absent ? "–" : "blank"), stored = user.reason.code === "malformed_version" ? `“${recorded}”` : recorded;
    const versions = `${stored} → ${digits(user.latest_version) || "–"}`;
    const affected = user.days >= 0;
    const line = make("tr", { class: open && "opened" },
      make("th", { scope: "row" }, toggle),
      make("td", null, make("b", { class: status }, title), ...marks.filter(Boolean).map((mark) => make("small", null, mark))),
      make("td", null, affected ? days(user.days) : "–"),
      make("td", null, affected ? time(user.affected_since, day(user.affected_since)) : "–"),
      make("td", null, make("code", null, versions)),
      make("td", { title: model }, owner && model.startsWith(`${owner}/`) ? model.slice(owner.length + 1) : model || absent("no model id"), part && make("small", null, head(part))),
      make("td", null, user.fix && copyButton(user.fix, `for ${name}`, "Copy fix")));
    return open ? [line, sheet(user)] : [line];
  }

  /** A line above the rows of each problem, where they are grouped. */
  function heading(row) {
    const { title, status } = hints.reasons[reasonOf[row]];
    const many = found.reduce((sum, other) => sum + (reasonOf[other] === reasonOf[row]), 0);
    return make("tr", { class: "heading" }, make("th", { colspan: COLUMNS, scope: "colgroup" }, make("b", { class: status }, title), ` ${number(many)}`));
  }

  /* ---- the sheet of an opened row ---- */

  function sheet(user) {
    const known = values(user), up = user.reason.status === "up_to_date", coming = !up && user.notes.find(({ code }) => code === "retraining_in_progress");
    return make("tr", { class: "more", id: "sheet" }, make("td", { colspan: COLUMNS }, make("div", { class: "sheet", role: "region", "aria-label": `Details of ${head(nameOf(user))}` },
      make("p", { class: "why" }, why(user)),
      make("div", { class: "actions" },
        !hints.redacted && user.email && copyButton(user.email, "", "Copy e-mail"), copyButton(user.user_id, "", "Copy id"),
        copyButton(ticket(user), "", "Copy text for the ticket"), copyButton(link(user), "", "Copy link"), user.page && away(user.page, "Model on Replicate"),
        make("span", { class: "steps" }, stepButton(user.row, -1, "‹ Previous"), stepButton(user.row, 1, "Next ›"))),
      chips(user),
      user.accepted && make("p", null, `Accepted until ${user.accepted}: ${user.because}`, user.author && make("small", null, ` ${user.author}`)),
      user.fix && make("div", { class: "fix" }, make("h3", null, "Fix"), make("pre", null, user.fix), copyButton(user.fix, "the fix")),
      make("div", { class: "halves" },
        make("div", null, make("h3", null, up ? "Photos still bad?" : "What to do"), coming ? make("p", { class: "hint" }, make("b", null, "Wait first. "), ...ticked(coming.meaning)) : make("p", { class: "hint" }, filled(user.reason.line, known)), up ? checklist(user, known) : user.fix || coming ? folded("By hand, step by step", steps(user.reason, user, known)) : steps(user.reason, user, known)),
        make("div", null, ...timeline(user))),
      ...user.notes.map((note) => make("div", { class: "noted" },
        make("h4", null, note.title, " ", make("code", null, note.code)), make("p", null, ...ticked(note.meaning)), steps(note, user, known))),
      !up && folded("If the photos are bad all the same", checklist(user, known)),
      folded("All that is stored and known", raw(user)))));
  }

  const folded = (title, ...children) => make("details", null, make("summary", null, title), ...children);
  const steps = (hint, user, known) => list(hint.steps.map((step) => filled(step, { ...known, sql: known.sql === user.sql ? "the query below" : known.sql })));
  const stepButton = (row, way, label) => make("button", { type: "button", class: "plain", disabled: found[found.indexOf(row) + way] === undefined, onclick: () => openNext(way) }, label);
  const chip = (name, value, text) => value && make("button", { type: "button", class: "chip", "data-filter": name, "data-value": value }, text);

  /** What the user has in common with others: a click shows those. */
  function chips(user) {
    return make("div", { class: "chips" }, chip("reason", user.reason.code, user.reason.title), chip("baseline", user.baseline, MARKS[user.baseline]),
      chip("acceptance", user.accepted && "yes", "Accepted"), ...user.notes.map((note) => chip("note", note.code, note.title)));
  }

  function checklist(user, known) {
    const marks = { true: "✓ as it should be", false: "✕ look at this", null: "? for you to judge" };
    return make("ul", { class: "checks" }, ...checks(user, known).map((check) =>
      make("li", { class: String(check.good) }, make("b", null, check.question), " ", make("span", { class: "mark" }, marks[check.good]),
        make("br"), make("code", null, check.value), make("br"), make("small", null, check.advice))));
  }

  /** What happened, newest first: versions, trainings, since when the user is affected. */
  function timeline(user) {
    const events = user.versions.map(({ id, made }, place) => ({
      at: made, text: ["Version ", make("code", { title: id }, digits(id) || "in the JSON report")],
      marks: [place === 0 && "latest", place === user.versions_behind && "product uses", made && made === user.affected_since && "affected since"],
    }));
    for (const [, training] of user.origins ? labelled(user.origins) : []) events.push({
      at: training.completed_at || training.created_at, text: [`Training ${training.status} `, training.id && make("code", { title: training.id }, head(training.id))], marks: [training.error && head(training.error)],
    });
    if (user.affected_since && !user.versions.some(({ made }) => made === user.affected_since)) events.push({ at: user.affected_since, text: ["Affected since"], marks: [] });
    if (user.completed_at) events.push({ at: user.completed_at, text: ["Row completed in the product"], marks: [] });
    if (!events.length) return [];
    events.push({ at: hints.now, text: ["This check"], marks: [] });
    events.sort((one, other) => (one.at < other.at) - (one.at > other.at));
    return [make("h3", null, "What happened"), make("ol", { class: "timeline" }, ...events.map(({ at: moment, text, marks }) => make("li", null,
      make("span", { class: "when" }, moment ? time(moment, day(moment)) : "no date"), " ", ...text, ...marks.filter(Boolean).map((mark) => make("b", { class: "mark" }, mark)))))];
  }

  function raw(user) {
    return make("div", null, ...unfinished(user), ...compared(user), ...versions(user), ...trained(user), make("h3", null, "As stored"), facts(user),
      user.detail && make("p", null, make("b", null, "Cause: "), shortened(user.detail, 2000), " (", make("code", null, user.reason.code), ")"),
      make("h3", null, "This user’s rows"), make("pre", { class: "sql" }, shortened(user.sql, 2000)), copyButton(user.sql, "the query"));
  }

  /** What the newest row says where it is not completed, and what is wrong with the completed one. */
  function unfinished(user) {
    const { newest, also } = user.unfinished ?? { newest: [], also: [] };
    return [newest.length && make("h3", null, "The newest row"), newest.length && pairs(newest),
      also.length && make("h3", null, "And the completed row"), also.length && pairs(also)].filter(Boolean);
  }

  function compared(user) {
    const parts = comparison(user);
    if (!parts) return [];
    const line = (label, whole, plain, different) => [make("dt", null, label), make("dd", null, make("code", null, plain, different && make("mark", null, different)), copyButton(whole, `the ${label.toLowerCase()} version`))];
    const [prefix, equal, rest, equalLatest, restLatest, sentence] = parts;
    return [make("h3", null, "Stored and latest"),
      make("dl", { class: "hashes" }, ...line("Stored", user.current_version, prefix + equal, shortened(rest, 2000)), ...line("Latest", user.latest_version, equalLatest, restLatest)),
      make("p", { class: "remark" }, sentence)];
  }

  function versions(user) {
    if (!user.versions.length) return [];
    const behind = user.versions_behind, shown = user.versions.length, hidden = (user.total ?? shown) - shown;
    const lines = user.versions.map(({ id, made }, place) => make("li", null,
      id ? make("code", { title: id }, id) : absent("in the JSON report"),
      make("small", null, made ? time(made, instant(made)) : "no date", place === 0 && make("b", null, " latest"), place === behind && make("b", null, " product uses"))));
    const older = hidden > 0 && `and ${number(hidden)} older${behind >= shown ? `; the stored one is number ${number(behind + 1)}` : ""}`;
    return [make("h3", null, "Versions on Replicate, newest first"), make("ol", { class: "versions" }, ...lines), older && make("p", { class: "remark" }, older)];
  }

  /** Each training that is known, once, with what it did: `origins.labelled`. */
  function labelled({ current, latest, later }) {
    const words = hints.origins;
    const made = current && current === latest ? [[words.both, current]] : [[words.current, current], [words.latest, latest]];
    const went = later && Object.hasOwn(words.later, later.status) ? later.status : "";
    return [...made, [words.later[went], later]].filter(([, training]) => training);
  }

  function trained(user) {
    if (!user.origins) return [];
    const basis = hints.origins.basis[user.origins.evidence], cards = labelled(user.origins);
    return [make("h3", null, "Where it comes from"),
      basis && make("p", { class: "basis" }, make("b", null, "The verdict rests on:"), " ", basis),
      ...cards.map(([label, training]) => make("div", { class: "noted trained" }, make("h4", null, label), trainingFacts(training))),
      !cards.length && make("p", { class: "remark no-training" }, hints.origins.none)];
  }

  function trainingFacts(training) {
    return pairs([
      ["Training", training.id || "in the JSON report"], ["Ended as", training.status], ["Why", training.error],
      ["Trigger word used", training.trigger_word], ["Real weights URL", training.weights, "the real weights URL"],
      ["Begun", training.created_at, true], ["Ended", training.completed_at, true],
    ]);
  }

  function facts(user) {
    const none = "not stored";
    const told = [
      ["User id", user.user_id], ["E-mail", user.email], ["Name", user.display_name], ["Model id", user.replicate_model_id],
      ["Stored version", user.current_version], ["Stored version made", user.current_version_created_at, true],
      ["Affected since", user.affected_since || (user.reason.status === "needs_sync" ? "not known" : ""), Boolean(user.affected_since)],
      ["Weights", hints.weights[user.weights_checked]],
      ["Row of user_models", user.model_row_id], ["Training", user.training_id], ["Trigger word", user.trigger_word || none],
      ["LoRA scale", user.lora_scale || none], ["Weights URL", user.lora_weights_url || none],
      ["Created", user.created_at, true], ["Updated", user.updated_at, true], ["Completed", user.completed_at, true],
      ["Versions on Replicate", user.total === null ? "" : number(user.total)], ["Model name", user.model_name],
      ["Older completed models", user.older ? number(user.older) : ""], ["Other models of the user", user.models ? number(user.models) : ""], ["Later training failed", user.later_failure_reason],
      ["Model shared with", user.shared ? others(user) : ""],
    ];
    return pairs(told);
  }

  /** Labels and values; the third is true for a date, or what a button copies. */
  function pairs(told) {
    return make("dl", { class: "facts" }, ...told.filter(([, value]) => value).map(([label, value, kind]) =>
      make("div", { class: value.length > 40 && "all" }, make("dt", null, label),
        make("dd", null, kind === true ? time(value, instant(value)) : shortened(value, 2000), kind && kind !== true && copyButton(value, kind)))));
  }

  /* ---- search, filter, sort ---- */

  const SEARCHED = ["email", "user_id", "display_name", "replicate_model_id", "recorded", "newest", "others"];
  const HASHES = SEARCHED.length - 2; // from here on there are only hashes
  const apart = () => ({ model: "replicate_model_id", row: "model_row_id" })[hints.per]; // what tells lines of a user apart
  const FILTERS = ["status", "reason", "note", "baseline", "acceptance", "affected"];
  const PLAIN = { tab: "", q: "", ...Object.fromEntries(FILTERS.map((name) => [name, ""])), sort: "-for", group: "", page: 1 };
  const state = { ...PLAIN, open: null };
  let tabs = [];
  let found = [], order = null, orderedBy = null;

  /** Marks in `hit` the rows of which some searched text, or the reason, holds `word`.
      Up to five hexadecimal digits are in too many hashes to mean one. */
  function mark(word, hit) {
    const meant = hints.reasons.map(({ code, title, status }) => `${code} ${title} ${status}`.toLowerCase().includes(word));
    for (let row = 0; row < hit.length; row++) hit[row] = meant[reasonOf[row]];
    blocks.forEach((block, place) => {
      block.lower ??= SEARCHED.map((name) => block.texts[column[name]].toLowerCase()); // mostly the very same text
      const part = hit.subarray(place * hints.block, place * hints.block + block.size);
      const names = block.lower.slice(0, /^[0-9a-f]{1,5}$/.test(word) ? HASHES - 1 : /^[0-9a-f]+$/.test(word) ? undefined : HASHES);
      if (hints.per === "row") names.unshift(block.texts[column.model_row_id].toLowerCase());
      for (const text of names) if (part.includes(0)) markIn(text, word, part);
    });
  }

  /** Marks the rows of one column: jumps from hit to hit, and counts the ends of rows in between. */
  function markIn(text, word, hit) {
    let row = 0, start = 0;
    for (let place = text.indexOf(word); place >= 0; place = text.indexOf(word, start)) {
      let end = text.indexOf(ROW, start);
      if (end < 0 && row === 0) return hit.fill(1); // one text for all rows
      while (end >= 0 && end < place) {
        start = end + 1;
        end = text.indexOf(ROW, start);
        row++;
      }
      hit[row++] = 1;
      if (end < 0) return hit;
      start = end + 1;
    }
    return hit;
  }

  const KEYS = {
    user: (row) => nameOf({ email: at(row, "email"), user_id: at(row, "user_id") }).toLowerCase(),
    model: (row) => at(row, "replicate_model_id").toLowerCase(),
    stored: (row) => Number(versionMoments(row).recorded ?? NaN),
    since: affectedAt,
    for: (row) => -affectedAt(row),
    why: (row) => hints.reasons[reasonOf[row]].title,
  };

  function affectedAt(row) {
    return at(row, "affected_at") === "-" ? NaN : Number(versionMoments(row).affected ?? NaN);
  }

  function sorted() {
    const by = `${state.group} ${state.sort}`;
    if (order && orderedBy === by) return order;
    order = Uint32Array.from(reasonOf, (_, row) => row);
    const [, minus, name] = /^(-?)(.*)$/.exec(state.sort);
    if (Object.hasOwn(KEYS, name)) {
      const keys = Array.from(order, KEYS[name]);
      const none = (key) => key === "" || key !== key; // what is not there comes last either way
      const way = minus ? -1 : 1;
      order.sort((a, b) => {
        const one = keys[a], other = keys[b];
        if (none(one) || none(other)) return none(one) - none(other) || a - b;
        return one < other ? -way : one > other ? way : a - b;
      });
    }
    if (state.group) order = order.slice().sort((a, b) => reasonOf[a] - reasonOf[b]); // it is stable
    orderedBy = by;
    forget();
    return order;
  }

  /** The tab that a reader is in who has chosen none: whoever searches means everybody. */
  const usual = () => (state.q || FILTERS.some((name) => state[name]) ? "all" : tabs[0].id);

  function look() {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = words.map((word) => {
      const hit = new Uint8Array(hints.total);
      mark(word, hit);
      return hit;
    });
    const { reasons, accepted } = tabs.find((tab) => tab.id === state.tab) ?? tabs.at(-1);
    const wanted = hints.reasons.map(({ code, status }) => reasons.has(code) && (!state.reason || code === state.reason) && (!state.status || status === state.status));
    const tests = [(row) => wanted[reasonOf[row]], ...hits.map((hit) => (row) => hit[row])];
    if (state.note) tests.push((row) => notes(row).some(({ code }) => code === state.note));
    if (state.baseline) tests.push((row) => at(row, "baseline") === state.baseline);
    for (const way of [state.acceptance, accepted]) if (way) tests.push((row) => statusOf(row) !== "up_to_date" && (at(row, "accepted") ? "yes" : "no") === way);
    if (state.affected) tests.push(affectedWithin(state.affected));
    found = tests.reduce((rows, test) => rows.filter(test), sorted());
  }

  /** Those who are open and began to be affected in the hours of a column of the histogram. */
  function affectedWithin(bucket) {
    const [from, to] = bucket.split("..").map((hour) => Date.parse(`${hour}:00Z`) * 1e3);
    return (row) => {
      if (statusOf(row) !== "needs_sync" || at(row, "accepted")) return false;
      const moment = affectedAt(row);
      return moment >= from && moment < to;
    };
  }

  /* ---- the page ---- */

  function draw() {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    state.page = Math.min(Math.max(1, state.page), pages);
    const first = (state.page - 1) * PAGE, shown = found.subarray(first, first + PAGE);
    byId("rows").replaceChildren(...Array.from(shown).flatMap((row, place) => [
      ...(state.group && (!place || reasonOf[row] !== reasonOf[shown[place - 1]]) ? [heading(row)] : []), ...tableRow(row)]));
    byId("found").textContent = summary(first, shown.length);
    byId("nobody").hidden = found.length > 0;
    byId("page").textContent = `Page ${number(state.page)} of ${number(pages)}`;
    byId("before").disabled = state.page === 1;
    byId("after").disabled = state.page === pages;
    byId("pages").hidden = pages === 1;
    byId("csv").disabled = !found.length;
    byId("group").setAttribute("aria-pressed", String(Boolean(state.group)));
    if (byId("q").value !== state.q) byId("q").value = state.q;
    for (const { id, button } of tabs) button.setAttribute("aria-pressed", String(id === state.tab));
    for (const column of document.querySelectorAll("rect[data-affected]")) column.classList.toggle("on", column.dataset.affected === state.affected);
    drawChips();
    drawSort();
  }

  /** What the table is narrowed to; a click takes it away. */
  function drawChips() {
    const titles = { acceptance: { yes: "Accepted", no: "Open" }, baseline: MARKS, status: { needs_sync: "Needs sync", error: "Check failed", not_checked: "Not reached", up_to_date: "Up to date" } };
    const title = (name) => [...hints.reasons, ...hints.notes].find(({ code }) => code === state[name])?.title ?? titles[name]?.[state[name]] ?? (name === "affected" ? `Began: ${bucketTitle()}` : state[name]);
    byId("chips").replaceChildren(...FILTERS.filter((name) => state[name]).map((name) =>
      make("button", { type: "button", class: "chip", "aria-label": `Remove ${title(name)}`, onclick: () => go({ [name]: "" }) }, `${title(name)} ×`)));
  }

  const bucketTitle = () => document.querySelector(`[data-go="affected=${CSS.escape(state.affected)}"]`)?.textContent ?? state.affected;

  function drawSort() {
    for (const button of document.querySelectorAll("[data-sort]")) {
      const way = { [button.dataset.sort]: "ascending", [`-${button.dataset.sort}`]: "descending" }[state.sort];
      if (way) button.closest("th").setAttribute("aria-sort", way);
      else button.closest("th").removeAttribute("aria-sort");
    }
  }

  /** Draws only these rows of the page again. */
  function redraw(rows) {
    byId("sheet")?.remove();
    for (const row of rows) byId("rows").querySelector(`[data-row="${row}"]`)?.closest("tr").replaceWith(...tableRow(row));
  }

  function summary(first, shown) {
    const range = found.length > shown ? `${number(first + 1)} to ${number(first + shown)} of ` : "";
    if (found.length === hints.total) return `${range}${counted(found.length, hints.per)}`;
    return `${range}${number(found.length)} of ${counted(hints.total, hints.per)}${hints.left_out ? " listed" : ""}`;
  }

  /** Takes on `changes`, shows them, and puts them into the address: as a new entry, or in place of the last one. */
  function go(changes, replace) {
    const focus = document.activeElement, before = state.open, stay = state.tab !== usual();
    const again = Object.keys(changes).some((name) => !["page", "open"].includes(name));
    Object.assign(state, again ? { page: 1, open: null } : {}, changes);
    if (!stay && changes.tab === undefined) state.tab = usual();
    if (again) look();
    const address = Object.keys(PLAIN).filter((name) => state[name] !== (name === "tab" ? usual() : PLAIN[name])).map((name) => [name, state[name]]);
    if (state.open !== null) address.push(["user", at(state.open, "user_id")], ...(apart() ? [["line", at(state.open, apart())]] : []));
    const fragment = `#${new URLSearchParams(address)}`;
    try {
      if (fragment !== (location.hash || "#")) history[replace ? "replaceState" : "pushState"](null, "", fragment);
    } catch { /* a frame without an address of its own: all else works */ }
    if (Object.keys(changes).join() === "open") redraw([before, state.open]);
    else draw();
    if (focus?.dataset?.row) byId("rows").querySelector(`[data-row="${focus.dataset.row}"]`)?.focus();
  }

  /** Reads the address; true where it is about the table. */
  function route() {
    const fragment = location.hash.slice(1);
    const asked = new URLSearchParams(fragment);
    if (fragment && !fragment.includes("=")) {
      const row = /^u-(\d+)$/.exec(fragment);
      if (row && row[1] <= hints.total && row[1] > 0) {
        asked.set("user", at(row[1] - 1, "user_id"));
        if (apart()) asked.set("line", at(row[1] - 1, apart()));
      }
      else if (tabs.some((tab) => tab.id === fragment)) asked.set("tab", fragment);
      else if (fragment === "needs_sync" || fragment === "error" || fragment === "not_checked") asked.set("status", fragment);
      else if (fragment !== "everybody" && !byId(fragment)?.classList.contains("users")) return false;
    }
    Object.assign(state, PLAIN, { open: null });
    for (const name of Object.keys(PLAIN)) if (asked.has(name)) state[name] = asked.get(name);
    state.page = Number.parseInt(state.page, 10) || 1;
    if (!asked.has("tab")) state.tab = usual();
    look();
    if (asked.has("user")) openUser(asked.get("user"), asked.get("line"));
    draw();
    return Boolean(fragment);
  }

  /** Opens the row of the user, or that of the user's `line`; the first of the user where there is no such one. */
  function openUser(id, line) {
    let first = -1, meant = -1;
    blocks.forEach((block, number) => {
      if (meant >= 0) return;
      const users = rowsOf(block, "user_id");
      for (let row = users.indexOf(id); row >= 0 && meant < 0; row = users.indexOf(id, row + 1)) {
        const place = number * hints.block + row;
        if (first < 0) first = place;
        if (!apart() || at(place, apart()) === line) meant = place;
      }
    });
    if (first < 0) return;
    state.open = meant < 0 ? first : meant;
    if (!found.includes(state.open)) {
      Object.assign(state, PLAIN, { tab: "all" });
      look();
    }
    state.page = Math.floor(found.indexOf(state.open) / PAGE) + 1;
  }

  function follow() {
    if (!route()) return;
    const opened = byId("rows").querySelector('[aria-expanded="true"]');
    if (opened) show(opened);
    else byId("everybody").scrollIntoView();
  }

  function toggle(row) {
    go({ open: state.open === row ? null : row });
  }

  /** Opens the row so many rows on, or the first one where none is open. */
  function openNext(way) {
    const place = state.open === null ? 0 : found.indexOf(state.open) + way;
    if (found[place] === undefined) return;
    const page = Math.floor(place / PAGE) + 1;
    go(page === state.page ? { open: found[place] } : { open: found[place], page });
    show(byId("rows").querySelector('[aria-expanded="true"]'));
  }

  function show(opened) {
    opened?.closest("tr").scrollIntoView();
    opened?.focus({ preventScroll: true });
  }

  function listen() {
    byId("q").addEventListener("input", (event) => go({ q: event.target.value }, Boolean(state.q)));
    for (const { id, button } of tabs) button.addEventListener("click", () => go({ tab: id }));
    byId("group").addEventListener("click", () => go({ group: state.group ? "" : "problem" }));
    byId("print").addEventListener("click", printDetails);
    document.addEventListener("click", (event) => {
      const narrow = event.target.closest("[data-filter]");
      if (!narrow) return;
      narrow.closest(".choose")?.removeAttribute("open");
      go({ [narrow.dataset.filter]: narrow.dataset.value });
    });
    for (const column of document.querySelectorAll("rect[data-affected]")) column.addEventListener("click", () => {
      location.hash = state.affected === column.dataset.affected ? "everybody" : `affected=${column.dataset.affected}`;
    });
    byId("csv").addEventListener("click", download);
    for (const [id, step] of [["before", -1], ["after", 1]]) byId(id).addEventListener("click", () => {
      go({ page: state.page + step, open: null });
      byId("found").scrollIntoView();
    });
    for (const button of document.querySelectorAll("[data-sort]")) button.addEventListener("click", () => {
      const name = button.dataset.sort;
      go({ sort: state.sort === name ? `-${name}` : state.sort !== `-${name}` || name === "for" ? name : PLAIN.sort });
    });
    byId("rows").addEventListener("click", (event) => {
      const line = event.target.closest("tr:not(.more, .heading)");
      if (!line || event.target.closest("a, .copy") || String(getSelection())) return;
      toggle(Number(line.querySelector("[data-row]").dataset.row));
    });
    for (const narrow of document.querySelectorAll("[data-go]")) narrow.href = `#${narrow.dataset.go}`;
    addEventListener("keydown", key);
    addEventListener("hashchange", follow);
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const buttons = [...byId("rows").querySelectorAll("[data-row]")];
    const place = buttons.indexOf(event.target), field = event.target.closest("input, select, textarea");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], next = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "/" && !field) byId("q").focus();
    else if (event.key === "Escape" && state.open !== null && !field) {
      const row = state.open;
      go({ open: null });
      byId("rows").querySelector(`[data-row="${row}"]`)?.focus();
    } else if (next && !field && (state.open !== null || event.key === "j")) openNext(next);
    else if (step && (place >= 0 || (event.target === byId("q") && step > 0))) (buttons[place + step] ?? byId("q")).focus();
    else return;
    event.preventDefault();
  }

  /* ---- CSV: the columns and the guard of audit/report/csv_report.py ---- */

  const CELL = 32767;
  const FORMULA = /^[\s\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212]/;

  const BEHIND_SEPARATOR = /([;|])(?=[\s"]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212])/g;

  const ISO = /^([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?Z$/;

  const cellTime = (text) => String(text ?? "").replace(ISO, "$1 $2"); // which spreadsheets take for a time

  function cell(spelled, guarded) {
    const guard = guarded || FORMULA.test(spelled) ? "'" : "";
    const text = spelled.replace(BEHIND_SEPARATOR, "$1'");
    if (text.length < CELL) return guard + text;
    const kept = text.slice(0, CELL - 60).replace(/[\ud800-\udbff]$/, "");
    return `${guard}${kept}… (${number([...text.slice(kept.length)].length)} more characters)`;
  }

  function csvLine(row) {
    const user = userAt(row);
    const plain = {
      status: user.reason.status, reason: user.reason.code, versions_behind: user.versions_behind, total_versions_on_replicate: user.total,
      created_at: cellTime(user.created_at), updated_at: cellTime(user.updated_at), completed_at: cellTime(user.completed_at),
      latest_version_created_at: cell(cellTime(user.latest_version_created_at), user.odd.guard.includes("latest_version_created_at")),
      notes: user.notes.map((note) => note.code).join(";"), replicate_url: user.page, baseline: user.baseline, accepted: user.accepted,
      affected_since: cellTime(user.affected_since), weights_checked: user.weights_checked, also: user.unfinished?.code, coverage: hints.coverage,
    };
    user.row_status = user.training_status;
    user.hint = filled(user.reason.line, values(user));
    const cells = hints.columns.map((name) => String(plain[name] ?? (name in plain ? "" : cell(user[name], user.odd.guard.includes(name)))));
    return cells.map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(",") + "\r\n";
  }

  function download() {
    const parts = [`${hints.columns.join(",")}\r\n`];
    for (const row of found) parts.push(csvLine(row));
    forget();
    const url = URL.createObjectURL(new Blob(parts, { type: "text/csv;charset=utf-8" }));
    make("a", { href: url, download: "sync-audit.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    byId("said").textContent = `Downloaded ${counted(found.length, "user")}`;
  }

  /* ---- start ---- */

  /** Commands can be copied wherever scripts run, also where there is no table. */
  function offerCopies() {
    for (const code of document.querySelectorAll("#do pre, #run pre")) code.after(copyButton(code.textContent, "the command"));
  }

  function printDetails() {
    const all = [...document.querySelectorAll(".static .more details")];
    for (const details of all) details.open = true;
    addEventListener("afterprint", () => all.forEach((details) => (details.open = false)), { once: true });
    print();
  }

  /** The table's head sticks below the bar, which may take several lines. */
  function stick() {
    const bar = document.querySelector(".bar");
    new ResizeObserver(() => root.style.setProperty("--bar", `${bar.offsetHeight}px`)).observe(bar);
  }

  function readTabs() {
    owner = document.querySelector(".all").dataset.owner;
    tabs = Array.from(document.querySelectorAll("[data-tab]"), (button) => ({ id: button.dataset.tab, button, reasons: new Set(button.dataset.reasons.split(" ")), accepted: button.dataset.accepted }));
  }

  function giveUp(error) {
    root.classList.remove("live");
    byId("everybody")?.remove();
    byId("no-table").hidden = false;
    byId("no-table-why").textContent = error.message;
  }

  async function start() {
    for (const element of document.querySelectorAll("time")) element.title = localTime(element.dateTime) ?? "";
    offerCopies();
    if (!byId("data")) return root.classList.remove("live"); // nobody to show
    await load();
    const template = byId("table");
    template.replaceWith(template.content);
    readTabs();
    for (const line of document.querySelectorAll("#accepted tr")) line.removeAttribute("id"); // the table has the user's place now
    stick();
    listen();
    if (route()) follow();
    root.classList.add("ready");
  }

  addEventListener("DOMContentLoaded", () => start().catch(giveUp));
})();
