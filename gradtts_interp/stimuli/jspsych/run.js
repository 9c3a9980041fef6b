// Runs what experiment.js describes: task, labels, trials. The answers are saved as answers_<participant>.csv.
const jsPsych = initJsPsych();
const address = new URLSearchParams(window.location.search);
const participant = (address.get("participant") || jsPsych.randomization.randomID(8)).replace(/[^\w-]/g, "_");
const COLUMNS = ["participant", "task", "trial", "stimulus", "step", "share", "order", "response", "rt_ms"];
const { task, labels, question, start, end, scale, repeats, trials, gap_seconds } = EXPERIMENT;

// In identification, half of the participants see the answers in the other order.
const swapped = task === "identification" && Math.random() < 0.5;

function page(html, button) {
  return { type: jsPsychHtmlButtonResponse, stimulus: html, choices: [button] };
}

function listen(sound, choices, prompt) {
  return {
    type: jsPsychAudioButtonResponse,
    stimulus: sound,
    choices: choices,
    prompt: prompt,
    response_allowed_while_playing: task !== "axb",
    trial_ends_after_audio: choices.length === 0,
    post_trial_gap: 1000 * gap_seconds,
  };
}

function trialOf(trial) {
  const choices = task === "rating" ? scale : task === "axb" ? ["first", "last"] : swapped ? [labels[1], labels[0]] : labels;
  const asked = listen(trial.sounds[trial.sounds.length - 1], choices, `<p>${question}</p>`);
  asked.on_finish = (data) => {
    const second = data.response === 1;
    Object.assign(data, {
      answer: true,
      step: trial.step,
      share: trial.share,
      order: trial.order || (swapped ? "BA" : "AB"),
      chosen:
        task === "rating" ? data.response + 1
        : task === "axb" ? trial.order[second ? 2 : 0]
        : second !== swapped ? "B" : "A",
      heard: trial.stimulus,
    });
  };
  const before = trial.sounds.slice(0, -1).map((sound) => listen(sound, [], `<p>${question}</p>`));
  return { timeline: [...before, asked] };
}

function csv() {
  const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const rows = jsPsych.data.get().filter({ answer: true }).values().map((data, i) =>
    [participant, task, i + 1, data.heard, data.step, data.share, data.order, data.chosen, data.rt].map(quoted).join(","));
  return [COLUMNS.join(","), ...rows].join("\n") + "\n";
}

function save() {
  const link = document.createElement("a");
  link.id = "answers";
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = `answers_${participant}.csv`;
  link.textContent = "Save the answers again";
  const text = document.createElement("p");
  text.innerHTML = end;
  jsPsych.getDisplayElement().replaceChildren(text, link);
  link.click();
}

const order = jsPsych.randomization.repeat(trials, repeats);
const sounds = [...new Set(trials.flatMap((trial) => trial.sounds))];
jsPsych
  .run([{ type: jsPsychPreload, audio: sounds }, page(start, "Start"), ...order.map(trialOf)])
  .then(save);
