# SPDX-License-Identifier: Apache-2.0
"""Configurations of Hugging Face folders: architecture, adapters, quantisation, generation, tokenizers, parts of pipelines."""

from __future__ import annotations

import re

from bastide.verify.bom.documents import Value
from bastide.verify.bom.draft import Draft
from bastide.verify.bom.folder import shown
from bastide.verify.bom.knowledge import terms
from bastide.verify.bom.model import Dependency, Origin, Relation

_SIZES = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size", "n_layer", "n_head", "n_embd",
    "d_model", "num_experts", "num_local_experts",
)  # fmt: skip
_LORA = ("peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "bias", "task_type", "use_dora")
_SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty", "max_new_tokens", "max_length", "do_sample")
_TRAINING = (
    "learning_rate", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps", "weight_decay", "warmup_steps",
    "lr_scheduler_type", "seed", "optimizer",
)  # fmt: skip
_TASKS = {
    "CAUSAL_LM": "text-generation", "SEQ_2_SEQ_LM": "text2text-generation", "SEQ_CLS": "text-classification",
    "TOKEN_CLS": "token-classification", "QUESTION_ANS": "question-answering", "FEATURE_EXTRACTION": "feature-extraction",
}  # fmt: skip
_HEADS = {"ForCausalLM": "text-generation", "ForSequenceClassification": "text-classification", "ForTokenClassification": "token-classification",
          "ForMaskedLM": "fill-mask", "ForQuestionAnswering": "question-answering", "ForImageClassification": "image-classification",
          "ForObjectDetection": "object-detection", "ForSpeechSeq2Seq": "automatic-speech-recognition"}  # fmt: skip


def read_configs(draft: Draft) -> None:
    """All configurations at the top of the folder."""
    known = {
        "config.json": _config, "adapter_config.json": _adapter, "generation_config.json": _generation, "tokenizer_config.json": _tokenizer,
        "model_index.json": _pipeline, "quantize_config.json": _quantisation, "quantization_config.json": _quantisation,
        "trainer_state.json": _trainer,
        "training_args.json": _trainer, "config_sentence_transformers.json": _sentences,
    }  # fmt: skip
    for file, read in known.items():
        for name in draft.folder.named(file):
            value = draft.json(name)
            if value is not None:
                read(draft, value)


def _config(draft: Draft, config: Value) -> None:
    for one in config.get("architectures").each():
        draft.say("architecture", one.text, one.origin)
        task = next((task for end, task in _HEADS.items() if one.text.endswith(end)), "")
        if task and not draft.has("task"):
            draft.say("task", task, Origin(one.origin.file, one.origin.line, "by its head"))
            _modalities(draft, task, one.origin)
    _say(draft, "family", config.get("model_type"))
    _say(draft, "precision", config.get("torch_dtype", "dtype"))
    _say(draft, "context", config.get("max_position_embeddings", "n_positions", "max_sequence_length"))
    _settings(draft, config, _SIZES)
    for _, label in config.get("id2label").items():
        draft.say("outputs", label.text, Origin(label.origin.file, label.origin.line, "label"))
    _versioned(draft, "transformers", config.get("transformers_version"))
    _versioned(draft, "diffusers", config.get("_diffusers_version"))
    loaded = config.get("_name_or_path")
    if loaded.text and not draft.ancestors and loaded.text not in (".", "./"):
        _ancestor(draft, loaded, Relation.BASE)
    if config.get("auto_map").raw:
        draft.note(f"{config.origin.file}: has Python fetched or run when it is loaded (`auto_map`)")
    quantisation = config.get("quantization_config")
    if quantisation.raw:
        _quantisation(draft, quantisation)


def _modalities(draft: Draft, task: str, origin: Origin) -> None:
    for name, modalities in zip(("inputs", "outputs"), terms().tasks.get(task, ((), ())), strict=True):
        for modality in modalities:
            draft.say(name, modality, Origin(origin.file, origin.line, "by its task"))


def _adapter(draft: Draft, config: Value) -> None:
    base = config.get("base_model_name_or_path")
    _ancestor(draft, base, Relation.ADAPTER, config.get("revision").text)
    _settings(draft, config, _LORA)
    _say(draft, "family", config.get("peft_type"))
    if task := _TASKS.get(config.get("task_type").text):
        draft.say("task", task, config.get("task_type").origin)
        _modalities(draft, task, config.get("task_type").origin)
    draft.depends(Dependency("peft", config.origin, config.get("peft_version").text))


def _quantisation(draft: Draft, config: Value) -> None:
    method = config.get("quant_method", "quantization_method")
    parts = [method.text or "quantised"]
    for key in (
        "bits",
        "w_bit",
        "group_size",
        "load_in_4bit",
        "load_in_8bit",
        "bnb_4bit_quant_type",
        "desc_act",
        "format",
    ):
        if (text := config.get(key).text) and text != "false":
            parts.append(f"{key} {text}")
    draft.say("precision", ", ".join(parts), config.origin, {"quantisation": method.text})
    for name in ("model_name_or_path", "base_model", "model_name"):
        _ancestor(draft, config.get(name), Relation.QUANTIZED)
    for at, one in enumerate(draft.ancestors):
        if one.relation is Relation.BASE:
            draft.ancestors[at] = type(one)(one.name, Relation.QUANTIZED, one.origin, one.revision)


def _generation(draft: Draft, config: Value) -> None:
    _settings(draft, config, _SAMPLING)
    _versioned(draft, "transformers", config.get("transformers_version"))


def _tokenizer(draft: Draft, config: Value) -> None:
    kind = config.get("tokenizer_class")
    if kind.text:
        draft.say("hyperparameters", f"tokenizer: {kind.text}", kind.origin, {"tokenizer": kind.text})
    longest = config.get("model_max_length")
    if len(longest.text) < 10 and not draft.has("context"):
        _say(draft, "context", longest)


def _pipeline(draft: Draft, config: Value) -> None:
    _say(draft, "architecture", config.get("_class_name"))
    _versioned(draft, "diffusers", config.get("_diffusers_version"))
    for part, made in config.items():
        names = [one.text for one in made.each()]
        if not part.startswith("_") and len(names) == 2 and names[0]:
            draft.say("interaction", f"part {part}: {names[0]}.{names[1]}", made.origin, {"part": part})
    _ancestor(draft, config.get("_name_or_path"), Relation.BASE)


def _trainer(draft: Draft, config: Value) -> None:
    _settings(draft, config, _TRAINING)


def _sentences(draft: Draft, config: Value) -> None:
    for name, version in config.get("__version__").items():
        known = {"sentence_transformers": "sentence-transformers", "transformers": "transformers", "pytorch": "torch"}
        if name in known:
            _versioned(draft, known[name], version)


def _ancestor(draft: Draft, value: Value, relation: Relation, revision: str = "") -> None:
    """A name of a repository, or of a folder, which is only named: nothing is followed."""
    name = value.text
    if name and (name.startswith(("/", "\\", "~")) or ".." in re.split(r"[/\\]", name) or ":" in name[:3]):
        draft.note(
            f"{value.origin}: the model it was made from is named by a path, `{shown(name)[:100]}`, which isn't followed"
        )
    draft.ancestor(name, relation, value.origin, revision)


def _say(draft: Draft, field: str, value: Value) -> None:
    draft.say(field, value.text, value.origin)


def _settings(draft: Draft, config: Value, keys: tuple[str, ...]) -> None:
    for key in keys:
        value = config.get(key)
        text = value.text or ", ".join(one.text for one in value.each() if one.text)[:300]
        if text:
            draft.say("hyperparameters", f"{key}: {text}", value.origin, {key: text})


def _versioned(draft: Draft, name: str, version: Value) -> None:
    if re.fullmatch(r"[0-9][0-9A-Za-z.+!-]{0,40}", version.text):
        draft.depends(Dependency(name, version.origin, version.text, f"=={version.text}"))
