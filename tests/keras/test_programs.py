"""Programs as Keras's guides have them, by the import line alone."""

import numpy as np
import pytest
from fastnn.keras.utils import to_categorical

import fastnn.keras as keras
from fastnn.keras import layers, ops, regularizers

RANDOM = np.random.default_rng(0)


def blobs(rows=120, classes=3):
    """Points around the corners of a triangle."""
    y = np.arange(rows) % classes
    x = RANDOM.normal(size=(rows, 4)) * 0.3
    x[np.arange(rows), y] += 2.0
    return x.astype("float32"), y


def test_tickets_a_functional_model_of_two_inputs_and_two_outputs(tmp_path):
    keras.utils.set_random_seed(1)
    words = keras.Input(shape=(6,), dtype="int32", name="words")
    tags = keras.Input(shape=(4,), name="tags")
    text = layers.Flatten()(layers.Embedding(20, 3)(words))
    joined = layers.concatenate([text, tags])
    hidden = layers.Dense(16, activation="relu", kernel_regularizer=regularizers.L2(1e-4))(joined)
    priority = layers.Dense(1, name="priority")(hidden)
    department = layers.Dense(3, name="department")(hidden)
    model = keras.Model(inputs=[words, tags], outputs=[priority, department])
    model.compile(
        optimizer=keras.optimizers.RMSprop(1e-2),
        loss={
            "priority": keras.losses.BinaryCrossentropy(from_logits=True),
            "department": keras.losses.CategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"priority": 1.0, "department": 0.2},
        metrics={"department": ["accuracy"]},
    )
    x, y = blobs()
    data = {"words": RANDOM.integers(0, 20, (len(y), 6)), "tags": x}
    targets = {"priority": (y == 0)[:, None].astype("float32"), "department": to_categorical(y, 3)}
    history = model.fit(data, targets, epochs=12, batch_size=16, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2
    results = model.evaluate(data, targets, return_dict=True, verbose=0)
    assert results["department_accuracy"] > 0.9
    model.save(tmp_path / "tickets.fastnn")
    del model
    again = keras.models.load_model(tmp_path / "tickets.fastnn")
    assert again.evaluate(data, targets, return_dict=True, verbose=0) == results
    features = keras.Model(inputs=again.inputs, outputs=[layer.output for layer in again.layers])
    assert len(features.predict(data, verbose=0)) == len(again.layers)


def test_a_variational_autoencoder_with_a_training_step_of_its_own():
    class Sampling(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seeds = keras.random.SeedGenerator(1337)

        def call(self, inputs):
            mean, log_variance = inputs
            noise = keras.random.normal(shape=ops.shape(mean), seed=self.seeds)
            return mean + ops.exp(0.5 * log_variance) * noise

    class VAE(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden = layers.Dense(8, activation="relu")
            self.mean, self.log_variance = layers.Dense(2), layers.Dense(2)
            self.sampling = Sampling()
            self.decoder = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(4)])
            self.total = keras.metrics.Mean(name="loss")

        def call(self, inputs):
            hidden = self.hidden(inputs)
            mean, log_variance = self.mean(hidden), self.log_variance(hidden)
            loss = -0.5 * ops.mean(log_variance - ops.square(mean) - ops.exp(log_variance) + 1)
            self.add_loss(0.01 * loss)
            return self.decoder(self.sampling((mean, log_variance)))

        @property
        def metrics(self):
            return [self.total]

        def train_step(self, data):
            x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            loss.backward()
            self.optimizer.step()
            self.total.update_state(loss)
            return {m.name: m.result() for m in self.metrics}

    keras.utils.set_random_seed(2)
    x, _ = blobs()
    model = VAE()
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=keras.losses.MeanSquaredError())
    losses = model.fit(x, x, epochs=15, batch_size=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] * 0.6


def test_callbacks_see_what_keras_callbacks_see(tmp_path):
    seen = []

    class Log(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(("train", sorted(logs or {})))

        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.1 / (epoch + 1)

        def on_train_batch_end(self, batch, logs=None):
            seen.append(("batch", batch, sorted(logs)))

        def on_epoch_end(self, epoch, logs=None):
            seen.append(("epoch", epoch, sorted(logs)))

        def on_test_end(self, logs=None):
            seen.append(("test", sorted(logs)))

    x, y = blobs(40)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["sparse_categorical_accuracy"])
    path = str(tmp_path / "best_{epoch}.fastnn")
    best = keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)
    fit = {"validation_data": (x, y), "epochs": 2, "batch_size": 20, "verbose": 0}
    model.fit(x, y, callbacks=[Log(), best, stop], **fit)
    names = ["loss", "sparse_categorical_accuracy"]
    validated = sorted([*names, *(f"val_{name}" for name in names)])
    epoch = [("batch", 0, names), ("batch", 1, names), ("test", names)]
    both = [*epoch, ("epoch", 0, validated), *epoch, ("epoch", 1, validated)]
    assert seen == [("train", []), *both]
    assert model.optimizer.learning_rate == pytest.approx(0.05)
    saved = keras.models.load_model(path.format(epoch=2))
    assert np.array_equal(saved.predict(x, verbose=0), model.predict(x, verbose=0))


def test_masks_travel_from_an_embedding_to_a_layer_that_takes_them():
    class MaskedMean(layers.Layer):
        supports_masking = True

        def compute_mask(self, inputs, previous_mask=None):
            return None

        def call(self, inputs, mask=None):
            weights = ops.expand_dims(ops.cast(mask, "float32"), -1)
            return ops.sum(inputs * weights, axis=1) / ops.sum(weights, axis=1)

    reviews = [[7, 3, 5], [4, 9, 1, 8, 2], [6]]
    padded = keras.utils.pad_sequences(reviews, padding="post")
    embedding = layers.Embedding(10, 4, mask_zero=True)
    assert embedding(padded)._keras_mask.numpy().tolist() == (padded != 0).tolist()
    model = keras.Sequential([embedding, MaskedMean(), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(padded, np.ones((3, 1)), epochs=1, verbose=0)
    table, kernel, bias = model.get_weights()
    means = np.stack([table[review].mean(axis=0) for review in reviews])
    np.testing.assert_allclose(model.predict(padded, verbose=0), means @ kernel + bias, rtol=1e-5)

    model.summary(print_fn=lambda line: None)

    inputs = keras.Input(shape=(None,), dtype="int32")
    scaled = layers.Activation("linear")(embedding(inputs))
    assert scaled._keras_mask.shape == (None, None)
    functional = keras.Model(inputs, MaskedMean()(scaled))
    np.testing.assert_allclose(functional.predict(padded, verbose=0), means, rtol=1e-5)


def test_layers_and_losses_of_ones_own_are_written_and_read(tmp_path):
    @keras.saving.register_keras_serializable(package="programs")
    class Linear(layers.Layer):
        def __init__(self, units=2, factor="ones", **kwargs):
            super().__init__(**kwargs)
            self.units, self.factor = units, keras.initializers.get(factor)

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], self.units), name="w")
            self.scale = self.add_weight(shape=(), initializer=self.factor, trainable=False)

        def call(self, inputs):
            return ops.matmul(inputs, self.w) * self.scale

        def get_config(self):
            own = {"units": self.units, "factor": keras.saving.serialize_keras_object(self.factor)}
            return {**super().get_config(), **own}

    def halved(y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), axis=-1) / 2

    x, _ = blobs(20)
    model = keras.Sequential([keras.Input((4,)), Linear(3), layers.Dense(1)])
    model.compile("adam", halved)
    model.fit(x, x[:, :1], verbose=0)
    model.save(tmp_path / "m.fastnn")
    objects = {"halved": halved}
    with keras.saving.custom_object_scope(objects):
        inner = keras.models.load_model(tmp_path / "m.fastnn")
    outer = keras.models.load_model(tmp_path / "m.fastnn", custom_objects=objects)
    for again in (inner, outer):
        assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
        assert again.evaluate(x, x[:, :1], verbose=0) == model.evaluate(x, x[:, :1], verbose=0)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert np.array_equal(clone.predict(x, verbose=0), model.predict(x, verbose=0))
    text = keras.models.model_from_json(model.to_json())
    assert [w.shape for w in text.weights] == [w.shape for w in model.weights]
