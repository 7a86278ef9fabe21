# make demo and make test need Python 3.11 or newer and nothing else: they set up .venv themselves,
# and again only when pyproject.toml or constraints.txt change.

PYTHON ?= python3
PYTHON_NEWEST ?= python3.13
VENV := .venv
RUN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: demo test test-expansion test-newest test-lowest test-gpu test-ptx test-peers lint sweep \
        bench bench-peers check-repeated accuracy exhaustive peers figures gallery notebooks docs \
        clean

demo: $(READY)
	$(RUN)/fgi demo

# A core for each of the two workers: threads of one that wait for those of the other only spin.
test: lint
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest -n 2 --dist worksteal

# The promises without the fast paths, in every mode: the definition alone has to hold them.
test-expansion: $(READY)
	FGI_FAST_PATHS=0 OMP_NUM_THREADS=1 $(RUN)/python -m pytest -n 2 --dist worksteal \
	    tests/test_promises.py tests/test_orders.py tests/test_composition.py

# The newest and the lowest versions of the frameworks, each in an environment of its own: a row of
# docs/versions.md. Downloads PyTorch's builds for CUDA, several GB each, where no other is at hand.
test-newest: $(VENV)-newest/ready
	cd tests && ../$(VENV)-newest/bin/python -m support.versions --label newest

test-lowest: $(VENV)-lowest/ready
	cd tests && ../$(VENV)-lowest/bin/python -m support.versions --label lowest

lint: $(READY)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

# What fgi costs: less than five minutes, on two idle cores. Without --quick, hours.
bench: $(READY)
	rm -f docs/benchmarks/cpu-quick.json
	$(RUN)/fgi bench --quick --seconds 1 --json docs/benchmarks/cpu-quick.json
	$(RUN)/fgi bench --report docs/benchmarks

# Other spiking libraries beside fgi, in the environment of make test-peers: five minutes.
bench-peers: $(VENV)-peers/ready $(READY)
	PYTHONPATH=fgi_core:backends $(VENV)-peers/bin/python -W ignore benchmarks/peers.py \
	    --seconds 4 --json docs/benchmarks/peers-cpu.json
	$(RUN)/fgi bench --report docs/benchmarks

# What the tests do of a few, of the whole catalogue: derivatives of every order. An hour.
sweep: $(READY)
	$(RUN)/python -m pytest -n 2 -m sweep

# fgi check at the points of 20 fresh seeds: everything, in every mode and dtype.
check-repeated: $(READY)
	$(RUN)/fgi check --repeat 20 --seed $$(date +%s)

# Every slope at 10,000 points, in 50 digits: docs/accuracy.md. Twenty minutes.
accuracy: $(READY)
	cd tests && ../$(RUN)/python -m support.accuracy

# Every float16 and bfloat16 number and a million float32 numbers, the whole catalogue, compiled and
# not, fast paths on and off: docs/exhaustive.md. Two hours; interrupted, it resumes where it was.
# ONLY=Gaussian,ATan measures these anew and keeps the rows of the others.
exhaustive: $(READY)
	cd tests && OMP_NUM_THREADS=1 ../$(RUN)/python -W ignore -m support.exhaustive \
	    $(if $(ONLY),--keep --surrogates $(ONLY))

# What other libraries returned against the presets: prints the tally, writes docs/peers.md.
peers: $(READY)
	cd tests && ../$(RUN)/python -m support.peers

# On a machine with an NVIDIA GPU, in an environment whose frameworks see it.
test-gpu:
	$(PYTHON) -m pytest -m gpu

# Downloads a GPU compiler of 290 MB; no GPU is needed. In an environment of its own: the compiler
# and TensorFlow do not share a process.
test-ptx: $(VENV)-ptx/ready
	$(VENV)-ptx/bin/python -m pytest -m ptx

# Other spiking libraries against the presets and neurons. In an environment of their own, as they
# want versions of their own; each of them has to be there.
test-peers: $(VENV)-peers/ready
	$(VENV)-peers/bin/python -m pytest -m peers --require-peers

# The README's picture and numbers.
figures: $(READY)
	$(RUN)/fgi demo --out docs/demo

# The page with every surrogate, and its pictures, from the definitions.
gallery: $(READY)
	rm -f docs/gallery/*.svg
	$(RUN)/fgi gallery --out docs/gallery

# Executes the notebooks and keeps what they print and draw. Three minutes.
notebooks: $(READY)
	cd tests && ../$(RUN)/python -m support.notebooks

# The documentation as a site, in build/docs; whatever is amiss with it, a dead link too, is an error.
docs: $(VENV)-docs/ready
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/python -m mkdocs build --strict -f docs/site/mkdocs.yml

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(RUN)/python -m pip install -q --upgrade 'pip>=25.1'
	$(RUN)/python -m pip install -q -c constraints.txt --group dev -e .
	touch $@

$(VENV)-newest/ready: pyproject.toml
	$(PYTHON_NEWEST) -m venv --clear $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install -q --upgrade 'pip>=25.1'
	$(VENV)-newest/bin/python -m pip install -q --group frameworks --group versions
	touch $@

$(VENV)-lowest/ready: pyproject.toml lowest.txt
	$(PYTHON) -m venv --clear $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install -q --upgrade 'pip>=25.1'
	$(VENV)-lowest/bin/python -m pip install -q -c lowest.txt --group frameworks --group versions
	touch $@

$(VENV)-ptx/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)-ptx
	$(VENV)-ptx/bin/python -m pip install -q --upgrade 'pip>=25.1'
	$(VENV)-ptx/bin/python -m pip install -q -c constraints.txt --group test --group ptx
	touch $@

$(VENV)-peers/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install -q --upgrade 'pip>=25.1'
	$(VENV)-peers/bin/python -m pip install -q -c constraints.txt --group test --group peers
	touch $@

$(VENV)-docs/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install -q --upgrade 'pip>=25.1'
	$(VENV)-docs/bin/python -m pip install -q -c constraints.txt --group docs
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-newest $(VENV)-lowest $(VENV)-ptx $(VENV)-peers $(VENV)-docs dist build demo-out .pytest_cache .mypy_cache .ruff_cache
