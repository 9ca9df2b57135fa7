"""The names of docs/names.md are those of the libraries: each is looked up."""

import inspect
from importlib import import_module
from operator import attrgetter

import pytest

NAMES = """
captum.attr LayerIntegratedGradients.attribute target n_steps baselines internal_batch_size
captum.attr LLMAttribution.attribute
captum.attr visualization.VisualizationDataRecord.__init__ raw_input_ids word_attributions
captum.attr visualization.visualize_text
captum.metrics infidelity
lime.explanation Explanation.as_list
lime.explanation Explanation.as_map
lime.explanation Explanation.save_to_file
lime.explanation Explanation.show_in_notebook
lime.explanation Explanation.__init__ domain_mapper
lime.lime_text LimeTextExplainer.__init__ kernel_width mask_string split_expression
lime.lime_text LimeTextExplainer.explain_instance num_samples labels top_labels model_regressor
setfit SetFitModel.from_pretrained
setfit SetFitModel.__init__ labels
setfit Trainer.__init__ eval_dataset callbacks
setfit Trainer.train
setfit TrainingArguments.__init__ num_epochs body_learning_rate head_learning_rate seed use_amp
setfit TrainingArguments.__init__ warmup_proportion batch_size max_length show_progress_bar
shap Explainer.__call__ max_evals batch_size outputs
shap Explainer.__init__ masker link
shap Explanation.__init__ values base_values data
shap maskers.Text.__init__ tokenizer mask_token
shap plots.text
sklearn.ensemble VotingClassifier.__init__ voting weights
sklearn.linear_model SGDClassifier.__init__ max_iter eta0 class_weight random_state early_stopping
sklearn.neural_network MLPClassifier.__init__ learning_rate_init batch_size verbose
sklearn.pipeline FeatureUnion.__init__
sklearn.preprocessing TargetEncoder.fit_transform
skorch NeuralNet.__init__ module max_epochs lr batch_size criterion train_split callbacks device
skorch.callbacks LRScheduler.__init__
skcap GuidedTextClassifier.__init__ max_epochs lr head_lr warmup batch_size max_length amp beta
skcap GuidedTextClassifier.__init__ label_names class_weight train_split head_init guidance device
skcap GuidedTextClassifier.explain n_steps target y
skcap CAPPriorTransformer.__init__ n_masks alpha
skcap LimePriorTransformer.__init__ num_samples kernel_width
skcap ShapPriorTransformer.__init__ max_evals
skcap HybridPrior.__init__ aggregation weights
"""
ENTRIES = [line.split() for line in NAMES.strip().splitlines()]


@pytest.mark.parametrize("entry", ENTRIES, ids=[" ".join(entry[:3]) for entry in ENTRIES])
def test_name(entry):
    module, path, *parameters = entry
    load = pytest.importorskip if module in ("setfit", "shap") else import_module
    found = attrgetter(path)(load(module))
    missing = set(parameters) - set(inspect.signature(found).parameters)
    assert not missing
