"""The `openapi_schema` that every version carries: what a fine-tuned image model says of its inputs and outputs.

About 9 KB, as on Replicate. The audit never reads it; it is here so that reading past it costs what it costs there.
"""

# ruff: noqa: E501 -- one input a line reads as the table that it is
_ASPECTS = ["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21", "custom"]
# name, type (or the values to choose from), default, (least, most), what it does
_INPUTS: list[tuple[str, str | list[str], object, tuple[float, float] | None, str]] = [
    ("prompt", "string", None, None, "Prompt for the generated image. Include the `trigger_word` used in the training to activate the trained object, style, or concept."),
    ("image", "uri", None, None, "Input image for image to image or inpainting mode. If provided, aspect_ratio, width, and height inputs are ignored."),
    ("mask", "uri", None, None, "Image mask for image inpainting mode. If provided, aspect_ratio, width, and height inputs are ignored."),
    ("seed", "integer", None, None, "Random seed. Set for reproducible generation."),
    ("model", ["dev", "schnell"], "dev", None, "Which model to run inference with. The dev model performs best with around 28 inference steps but the schnell model only needs 4 steps."),
    ("width", "integer", None, (256, 1440), "Width of generated image. Only works if `aspect_ratio` is set to custom. Will be rounded to the nearest multiple of 16. Incompatible with fast generation."),
    ("height", "integer", None, (256, 1440), "Height of generated image. Only works if `aspect_ratio` is set to custom. Will be rounded to the nearest multiple of 16. Incompatible with fast generation."),
    ("aspect_ratio", _ASPECTS, "1:1", None, "Aspect ratio for the generated image. If custom is selected, uses height and width below and runs in bf16 mode."),
    ("num_outputs", "integer", 1, (1, 4), "Number of outputs to generate."),
    ("num_inference_steps", "integer", 28, (1, 50), "Number of denoising steps. More steps can give more detailed images, but take longer."),
    ("guidance_scale", "number", 3, (0, 10), "Guidance scale for the diffusion process. Lower values can give more realistic images. Good values to try are 2, 2.5, 3 and 3.5."),
    ("prompt_strength", "number", 0.8, (0, 1), "Prompt strength when using image to image. 1.0 corresponds to full destruction of information in the input image."),
    ("go_fast", "boolean", False, None, "Run faster predictions with a model optimized for speed (currently fp8 quantized); disable to run in the original bf16."),
    ("megapixels", ["1", "0.25"], "1", None, "Approximate number of megapixels for the generated image."),
    ("lora_scale", "number", 1, (-1, 3), "Determines how strongly the main LoRA should be applied. Sane results between 0 and 1 for base inference. For fast generation a multiplier of 1.5 is applied, which generally performs well. You may still need to experiment to find the best value for your particular LoRA."),
    ("extra_lora", "string", None, None, "Load LoRA weights. Supports Replicate models in the format <owner>/<username> or <owner>/<username>/<version>, HuggingFace URLs, CivitAI URLs, or arbitrary .safetensors URLs from the Internet."),
    ("extra_lora_scale", "number", 1, (-1, 3), "Determines how strongly the extra LoRA should be applied. Sane results between 0 and 1 for base inference. You may still need to experiment to find the best value for your particular LoRA."),
    ("replicate_weights", "string", None, None, "Load LoRA weights. Supports Replicate models, HuggingFace URLs, or arbitrary .safetensors URLs. Takes the place of the weights that the model was trained with."),
    ("output_format", ["webp", "jpg", "png"], "webp", None, "Format of the output images."),
    ("output_quality", "integer", 80, (0, 100), "Quality when saving the output images, from 0 to 100. 100 is best quality, 0 is lowest quality. Not relevant for .png outputs."),
    ("disable_safety_checker", "boolean", False, None, "Disable safety checker for generated images."),
]  # fmt: skip


def _input(order: int, row: tuple[str, str | list[str], object, tuple[float, float] | None, str]) -> dict[str, object]:
    name, kind, default, limits, text = row
    field: dict[str, object] = {"title": name.replace("_", " ").capitalize(), "x-order": order, "description": text}
    if isinstance(kind, list):
        field |= {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}
    elif kind == "uri":
        field |= {"type": "string", "format": "uri"}
    else:
        field |= {"type": kind}
    if default is not None:
        field["default"] = default
    if limits:
        field |= {"minimum": limits[0], "maximum": limits[1]}
    return field


def _reference(name: str) -> dict[str, object]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


_INVALID = {"422": {"description": "Validation Error", **_reference("HTTPValidationError")}}


def _operation(summary: str, identifier: str, answer: str) -> dict[str, object]:
    ok = {"description": "Successful Response", **_reference(answer)}
    return {"summary": summary, "operationId": identifier, "responses": {"200": ok, **_INVALID}}


def _text(title: str, **more: object) -> dict[str, object]:
    return {"title": title, "type": "string", **more}


_PREDICTION = {
    "id": _text("Id"),
    "error": _text("Error"),
    "logs": _text("Logs", default=""),
    "status": {"$ref": "#/components/schemas/Status"},
    "metrics": {"title": "Metrics", "type": "object"},
    "version": _text("Version"),
    "created_at": _text("Created At", format="date-time"),
    "started_at": _text("Started At", format="date-time"),
    "completed_at": _text("Completed At", format="date-time"),
    "webhook": _text("Webhook", format="uri", maxLength=65536, minLength=1),
    "output_file_prefix": _text("Output File Prefix"),
    "webhook_events_filter": {
        "type": "array",
        "items": {"$ref": "#/components/schemas/WebhookEvent"},
        "default": ["start", "output", "logs", "completed"],
    },
}
_CHOICES = {
    name: {"enum": kind, "type": "string", "title": name, "description": "An enumeration."}
    for name, kind, *_ in _INPUTS
    if isinstance(kind, list)
}
_SCHEMAS: dict[str, object] = {
    "Input": {
        "type": "object",
        "title": "Input",
        "required": ["prompt"],
        "properties": {row[0]: _input(order, row) for order, row in enumerate(_INPUTS)},
    },
    "Output": {"type": "array", "items": {"type": "string", "format": "uri"}, "title": "Output"},
    "Status": {"enum": ["starting", "processing", "succeeded", "canceled", "failed"], "type": "string"},
    "WebhookEvent": {"enum": ["start", "output", "logs", "completed"], "type": "string"},
    "PredictionRequest": {
        "type": "object",
        "title": "PredictionRequest",
        "properties": {"input": {"$ref": "#/components/schemas/Input"}, **_PREDICTION},
    },
    "PredictionResponse": {
        "type": "object",
        "title": "PredictionResponse",
        "properties": {
            "input": {"$ref": "#/components/schemas/Input"},
            "output": {"$ref": "#/components/schemas/Output"},
            **_PREDICTION,
        },
    },
    "ValidationError": {
        "type": "object",
        "title": "ValidationError",
        "required": ["loc", "msg", "type"],
        "properties": {
            "loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
            "msg": _text("Message"),
            "type": _text("Error Type"),
        },
    },
    "HTTPValidationError": {
        "type": "object",
        "properties": {"detail": {"type": "array", "items": {"$ref": "#/components/schemas/ValidationError"}}},
    },
    **_CHOICES,
}
_ID = [{"in": "path", "name": "prediction_id", "required": True, "schema": _text("Prediction ID")}]
OPENAPI_SCHEMA: dict[str, object] = {
    "openapi": "3.0.2",
    "info": {"title": "Cog", "version": "0.1.0"},
    "paths": {
        "/": {"get": _operation("Root", "root__get", "Output")},
        "/health-check": {"get": _operation("Healthcheck", "healthcheck_health_check_get", "Output")},
        "/predictions": {
            "post": {
                **_operation("Predict", "predict_predictions_post", "PredictionResponse"),
                "requestBody": _reference("PredictionRequest"),
            }
        },
        "/predictions/{prediction_id}": {
            "put": {
                **_operation("Predict Idempotent", "predict_idempotent_put", "PredictionResponse"),
                "requestBody": {"required": True, **_reference("PredictionRequest")},
                "parameters": _ID,
            }
        },
        "/predictions/{prediction_id}/cancel": {
            "post": {**_operation("Cancel", "cancel_predictions_cancel_post", "PredictionResponse"), "parameters": _ID}
        },
    },
    "components": {"schemas": _SCHEMAS},
}
