"""What further stages say of the atlas that the tests know by hand: rows of their tables."""

from __future__ import annotations

from typing import Any

FURTHER: dict[str, list[dict[str, Any]]] = {
    "contexts": [
        {"context": 0, "row": 4, "document": 0, "document_name": "one", "position": 4, "name": "I «run» home",
         "text": "I run home", "tokens": ["I", " run", " home"], "place": 1},
        {"context": 1, "row": 9, "document": 1, "document_name": "two", "position": 3, "name": "«go» \ufffd",
         "text": " go\u202e`'\"</script>", "tokens": [" go", "\u202e`'\"</script>"], "place": 0},
        {"context": 2, "row": 11, "document": 1, "document_name": "two", "position": 6, "name": "«»", "text": "",
         "tokens": [""], "place": 0},
    ],
    "feature_contexts": [
        {"index": 0, "context": 0, "activation": 4.0, "sample": "both", "activations": [0.0, 4.0, 1.0]},
        {"index": 0, "context": 1, "activation": 5.0, "sample": "strongest", "activations": [5.0, 0.0]},
        {"index": 0, "context": 2, "activation": 0.5, "sample": "uniform", "activations": [0.5]},
        {"index": 1, "context": 1, "activation": 2.0, "sample": "both", "activations": [2.0, 0.1]},
    ],
    "edge_contexts": [
        {"a": 0, "b": 1, "context": 0, "activation_a": 4.0, "activation_b": 0.5, "share": 0.25},
        {"a": 0, "b": 1, "context": 1, "activation_a": 5.0, "activation_b": 2.0, "share": 1.0},
    ],
    "manifolds": [
        {"manifold": 0, "name": "a ring of days", "geometry": "ring", "points": "items", "n_points": 6, "size": 2,
         "source": "fine", "source_number": 0, "found_in": 1, "plane": [1, 2], "component_variance": [0.5, 0.25],
         "held_out_variance": [0.5, 0.25], "order": ["mon", "tue", "wed", "thu", "fri", "sat"], "largest_gap": 1.0,
         "p": 0.001},
        {"manifold": 1, "name": "nothing much", "geometry": "undetermined", "points": "members", "n_points": 6,
         "size": 1, "source": "ego", "source_number": 6, "found_in": 1, "order": [], "largest_gap": 2.0},
    ],
    "manifold_members": [
        {"manifold": 0, "index": 1, "share": 0.75, "top_item": "mon", "x": 1.0, "y": 0.0},
        {"manifold": 0, "index": 2, "share": 0.25, "top_item": "tue", "x": 0.0, "y": 1.0},
        {"manifold": 1, "index": 6, "share": 1.0, "top_item": "x", "x": 0.0, "y": 0.0},
    ],
    "manifold_items": [
        {"manifold": 0, "item": item, "place": place, "n_tokens": 10 + place, "x": float(place), "y": -1.5}
        for place, item in enumerate(["mon", "tue", "wed", "thu", "fri", "sat"])
    ],
    "absorption": [
        {"child": 2, "parent": 6, "kind": "full", "status": "candidate", "decoder_cosine": 0.5, "asymmetry": 0.625,
         "encoder_cosine": -0.125, "signature": True, "readout_share": 0.75},
    ],
    "hedging": [
        {"a": 1, "b": 3, "decoder_cosine": 0.5, "encoder_cosine": 0.25, "joint_count": 30, "expected": 10.0,
         "lift_d": 3.0, "p_a_given_b": 0.25, "p_b_given_a": 0.75},
        {"a": 2, "b": 3, "decoder_cosine": 0.375, "encoder_cosine": 0.5, "joint_count": 6, "expected": 0.0},
    ],
    "letters": [
        {"letter": "g", "index": 6, "split": [9, 10], "recall": 0.875, "precision": 0.5, "n_items": 12,
         "n_missing": 2, "n_absorbed": 1, "control_letters": 0.0125, "control_features": 0.0375},
        {"letter": "q", "index": 0, "split": [], "recall": 0.25, "precision": 0.125, "n_items": 3},
    ],
    "letter_words": [
        {"letter": "g", "token_id": 7, "text": " gone", "n_tokens": 12, "index": 6, "letter_share": 0.0,
         "absorbing": 1, "absorbing_share": 1.0, "decoder_cosine": 0.5, "contribution": 0.75, "p": 0.01, "q": 0.02,
         "absorbed": True},
        {"letter": "g", "token_id": 9, "text": " go", "n_tokens": 20, "index": 6, "letter_share": 0.125,
         "absorbing": 1, "absorbing_share": 0.25, "decoder_cosine": 0.5, "contribution": 0.25, "p": 0.5, "q": 0.5},
    ],
    "magnitude": [
        {"index": 0, "magnitude": "multi-peak", "positive_count": 500, "magnitude_mean": 1.0, "magnitude_cv": 0.5,
         "n_peaks": 2, "dip_p": 0.001, "histogram_high": 3.0, "histogram": [3, 0, 5],
         "peak_places": [0.5, 2.0], "peak_shares": [0.25, 0.75],
         "peak_causes": ["token", "intrinsic"], "peak_tokens": ["go", "run"], "peak_neighbours": [-1, 1],
         "dip_q": 0.001, "entropy_difference": 0.5, "entropy_difference_q": 0.01, "entropy_correlation": 0.25,
         "entropy_correlation_q": 0.02},
        {"index": 1, "magnitude": "set", "positive_count": 300, "magnitude_mean": 2.0, "magnitude_cv": 0.25,
         "n_peaks": 1, "dip_p": 0.5, "histogram": [1, 2], "histogram_high": 4.0},
        {"index": 51, "positive_count": 0},
    ],
    "peaks": [
        {"index": 0, "peak": 0, "at": 0.5, "low": 0.0, "high": 1.0, "firings": 125, "share": 0.25, "prominence": 0.5,
         "cause": "token", "token": "go", "token_share": 0.75, "token_share_outside": 0.125, "token_q": 0.001},
        {"index": 0, "peak": 1, "at": 2.0, "low": 1.0, "high": 3.0, "firings": 375, "share": 0.75, "prominence": 0.75,
         "cause": "intrinsic", "token": "run", "token_q": 0.5, "neighbour": 1, "relation": "child",
         "neighbour_share": 0.5, "neighbour_share_outside": 0.375, "neighbour_lift": 1.25, "neighbour_q": 0.25},
    ],
    "interference": [
        {"a": 0, "b": 1, "shift_a": 0.5, "q_a": 0.01, "shift_b": -0.25, "q_b": 0.0625},
        {"a": 0, "b": 2, "shift_a": -0.75, "q_a": 0.05, "shift_b": 0.125, "q_b": 0.001},
        {"a": 0, "b": 3},
        {"a": 0, "b": 4, "shift_a": 1.0, "q_a": 0.5, "shift_b": 2.0, "q_b": 1.0},
    ],
    "verdicts": [{"level": "fine", "cluster": 0, "verdict": "composition", "reason": "parts", "joint_lift": 8.0,
                  "half_shape": "star-like"}],
    "ego_verdicts": [{"index": 36, "ego_verdict": "ambiguity", "ego_reason": "rivals", "ego_joint_tokens": 40}],
    "means": [
        {"level": "fine", "cluster": 2, "mean_norm": 0.75, "mean_items": ["day", "week"], "mean_features": [3, 9],
         "mean_cosine": 0.5},
        {"level": "fine", "cluster": 5, "mean_norm": 0.5, "mean_items": [], "mean_features": [], "mean_cosine": 0.25},
    ],
    "logic": [
        {"a": 1, "b": 2, "c": 0, "kind": "OR", "joint_count": 3, "p_c_given_a_alone": 1.0},
        {"a": 1, "b": 3, "c": 0, "kind": "AND", "joint_count": 9, "p_c_given_both": 0.875},
    ],
    "sorts": [
        {"index": 0, "magnitude": "multi-peak", "geometry_sort": "hub", "role": "parent and child", "is_parent": True},
        {"index": 1, "geometry_sort": "ring", "role": "child", "basis_sort": "contextual", "is_child": True},
    ],
}
"""Contexts, manifolds, absorption, hedging, letters, magnitude, peaks and behaviour, by table."""
