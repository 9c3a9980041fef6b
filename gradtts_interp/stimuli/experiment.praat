"ooTextFile"
"ExperimentMFC 7"
blankWhilePlaying? <no>
stimuliAreSounds? <yes>
stimulusFileNameHead = "sounds/"
stimulusFileNameTail = ".wav"
stimulusCarrierBefore = ""
stimulusCarrierAfter = ""
stimulusInitialSilenceDuration = {{ gap_seconds }} seconds
stimulusMedialSilenceDuration = {{ gap_seconds }} seconds
stimulusFinalSilenceDuration = 0 seconds
numberOfDifferentStimuli = {{ trials | length }}
{% for trial in trials %}
    {{ trial.sounds | map("stem") | join(",") | quoted }} ""
{% endfor %}
numberOfReplicationsPerStimulus = {{ repeats }}
breakAfterEvery = 0
randomize = <PermuteBalancedNoDoublets>
startText = {{ (start ~ "\n\nClick to start.") | quoted }}
runText = {{ question | quoted }}
pauseText = ""
endText = {{ end | quoted }}
maximumNumberOfReplays = 0
replayButton = 0 0 0 0 "" ""
okButton = 0 0 0 0 "" ""
oopsButton = 0 0 0 0 "" ""
responsesAreSounds? <no> "" "" "" "" 0 0 0
numberOfDifferentResponses = {{ answers | length }}
{% for label, name in answers %}
{% set left = 0.05 + loop.index0 * 0.9 / (answers | length) %}
    {{ "%.4f" | format(left) }} {{ "%.4f" | format(left + 0.81 / (answers | length)) }} 0.3 0.6 {{ label | quoted }} {{ 24 if answers | length == 2 else 14 }} "" {{ name | quoted }}
{% endfor %}
numberOfGoodnessCategories = 0
